/* late.c: dlopen of libcurl and the table of its functions. */
#include "http/late.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include "base/err.h"

#define LIBRARY "libcurl.so.4"

static int find_all(void *library, late_t *table) {
    /* POSIX has dlsym answer function pointers as void *, which ISO C cannot convert: hence the copy of the pointer. */
    const struct {
        const char *name;
        void **function;
    } functions[] = {
#define X(name) {"curl_" #name, (void **)(void *)&table->name},
        LATE_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        *functions[i].function = dlsym(library, functions[i].name);
        if (!*functions[i].function) return ERR_UNAVAILABLE;
    }
    return 0;
}

static int open_locked(const late_t **out, char *why, size_t size) {
    static late_t table;
    static void *library;
    if (!library) {
        void *opened = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (!opened || find_all(opened, &table) != 0 ||
            table.global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
            const char *reason = dlerror();
            snprintf(why, size, "the HTTP client needs %s: %s", LIBRARY,
                reason ? reason : "it does not start");
            return ERR_UNAVAILABLE;
        }
        library = opened;
    }
    *out = &table;
    return 0;
}

int late_open(const late_t **out, char *why, size_t size) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    int err = open_locked(out, why, size);
    pthread_mutex_unlock(&lock);
    return err;
}
