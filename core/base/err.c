/* err.c: the names, sentences and statuses of errors, Perigee's own and libuv's. */
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <uv.h>

static const struct {
    const char *name, *sentence;
    int status;
} errors[ERR_COUNT] = {[ERR_OK] = {"ok", "no error", 200},
#define X(NAME, name, status, sentence) [ERR_##NAME] = {#name, sentence, status},
    ERR_LIST(X)
#undef X
};

/* libuv's names in lower case; made once because err_name promises static strings. */
static struct {
    int code;
    char name[24];
} uv_names[] = {
#define X(NAME, sentence) {UV_##NAME, #NAME},
    UV_ERRNO_MAP(X)
#undef X
};
static uv_once_t uv_names_once = UV_ONCE_INIT;

static void lower_uv_names(void) {
    for (size_t i = 0; i < sizeof uv_names / sizeof uv_names[0]; i++) {
        for (char *c = uv_names[i].name; *c; c++)
            *c = (char)tolower((unsigned char)*c);
    }
}

static const char *uv_name(int code) {
    uv_once(&uv_names_once, lower_uv_names);
    for (size_t i = 0; i < sizeof uv_names / sizeof uv_names[0]; i++) {
        if (uv_names[i].code == code) return uv_names[i].name;
    }
    return errors[ERR_INTERNAL].name;
}

static int known(int err) {
    return err >= 0 && err < ERR_COUNT ? err : ERR_INTERNAL;
}

const char *err_name(int err) {
    return err < 0 ? uv_name(err) : errors[known(err)].name;
}

/* uv_strerror allocates for a code it does not know, so only known codes may reach it. */
const char *err_text(int err) {
    if (err >= 0) return errors[known(err)].sentence;
    return uv_name(err) == errors[ERR_INTERNAL].name ? errors[ERR_INTERNAL].sentence
                                                     : uv_strerror(err);
}

int err_status(int err) {
    return err < 0 ? 503 : errors[known(err)].status;
}

int err_find(const char *name) {
    for (int err = 0; err < ERR_COUNT; err++) {
        if (strcmp(errors[err].name, name) == 0) return err;
    }
    return ERR_INTERNAL;
}

int err_why(int err, char *why, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, size, format, args);
    va_end(args);
    return err;
}
