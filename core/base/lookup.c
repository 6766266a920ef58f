/* lookup.c: getaddrinfo cannot be told to stop, so each name has a thread that nobody joins. */
#include "base/lookup.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/aside.h"

struct lookup {
    aside_t *aside;
    lookup_cb done;
    void *data;
    char host[NI_MAXHOST], service[8];
    struct addrinfo *found;
    int err;
};

static atomic_int running;

static int translate(int code) {
    static const struct {
        int code, err;
    } CODES[] = {
        {EAI_AGAIN, UV_EAI_AGAIN},
        {EAI_FAIL, UV_EAI_FAIL},
        {EAI_FAMILY, UV_EAI_FAMILY},
        {EAI_MEMORY, UV_EAI_MEMORY},
        {EAI_NONAME, UV_EAI_NONAME},
        {EAI_SERVICE, UV_EAI_SERVICE},
    };
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        if (CODES[i].code == code) return CODES[i].err;
    return code ? UV_EAI_FAIL : 0;
}

static void discard(void *data) {
    lookup_t *lookup = data;
    if (lookup->found) freeaddrinfo(lookup->found);
    free(lookup);
}

static void on_done(void *data) {
    lookup_t *lookup = data;
    struct addrinfo *found = lookup->found;
    lookup->found = NULL;
    lookup->done(lookup->data, lookup->err, found);
}

static void on_thread(void *data) {
    lookup_t *lookup = data;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    lookup->err = translate(getaddrinfo(lookup->host, lookup->service, &hints, &lookup->found));
    if (lookup->err) lookup->found = NULL;
    atomic_fetch_sub(&running, 1);
}

static int begin(lookup_t *lookup, loop_t *loop) {
    aside_options_t options = {.loop = loop,
        .name = "lookup",
        .run = on_thread,
        .done = on_done,
        .discard = discard,
        .data = lookup};
    if (atomic_fetch_add(&running, 1) < LOOKUPS_MAX && aside_start(&lookup->aside, &options) == 0)
        return 0;
    atomic_fetch_sub(&running, 1);
    return UV_EAI_AGAIN;
}

int lookup_start(
    lookup_t **out, loop_t *loop, const char *host, int port, lookup_cb done, void *data) {
    if (strlen(host) >= NI_MAXHOST) return UV_ENAMETOOLONG;
    lookup_t *lookup = calloc(1, sizeof *lookup);
    if (!lookup) return UV_ENOMEM;
    lookup->done = done;
    lookup->data = data;
    snprintf(lookup->host, sizeof lookup->host, "%s", host);
    snprintf(lookup->service, sizeof lookup->service, "%d", port);
    int err = begin(lookup, loop);
    if (err)
        free(lookup);
    else
        *out = lookup;
    return err;
}

void lookup_stop(lookup_t *lookup) {
    aside_stop(lookup->aside);
}
