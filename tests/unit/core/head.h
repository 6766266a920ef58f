/* head.h: an exchange without a connection, whose head a test writes down, for what only reads heads. */
#ifndef PERIGEE_TEST_HEAD_H
#define PERIGEE_TEST_HEAD_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "request.h"

#define HEAD_FIELDS 8

typedef struct head {
    exchange_t exchange;
    request_t request;
    header_t fields[HEAD_FIELDS];
    config_t config;
} head_t;

/* Names and values in turn, up to NULL. */
static inline void head_create(head_t *head, const char *peer, ...) {
    memset(head, 0, sizeof *head);
    config_default(&head->config);
    exchange_t *exchange = &head->exchange;
    arena_create(&exchange->arena);
    snprintf(exchange->peer, sizeof exchange->peer, "%s", peer);
    exchange->headers = head->fields;
    exchange->method_text = SPAN("GET");
    exchange->path = SPAN("/");
    head->request.exchange = exchange;
    va_list args;
    va_start(args, peer);
    for (const char *name; (name = va_arg(args, const char *));) {
        assert_in_range(exchange->nheaders, 0, HEAD_FIELDS - 1);
        head->fields[exchange->nheaders++] =
            (header_t){span_of(name), span_of(va_arg(args, const char *))};
    }
    va_end(args);
}

static inline void head_destroy(head_t *head) {
    arena_destroy(&head->exchange.arena);
}

static inline void head_equal(span_t span, const char *text) {
    char copy[300];
    snprintf(copy, sizeof copy, "%.*s", (int)span.len, span.ptr ? span.ptr : "");
    assert_string_equal(copy, text);
}

#endif
