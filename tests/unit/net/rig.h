/* rig.h: a net on a free port, and clients that live in the same loop's turns, for the tests of this room. */
#ifndef PERIGEE_TEST_NET_RIG_H
#define PERIGEE_TEST_NET_RIG_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/listener.h"

/* Nanoseconds after which a wait is a failure; nothing near it is ever needed. */
#define RIG_CEILING_NS (60ull * 1000000000ull)
#define RIG_MAX 64

typedef struct rig {
    loop_t *loop;
    net_t *net;
    net_limits_t limits;
    int fd, port, family;
    exchange_t *waiting[RIG_MAX]; /* asked, not answered yet; a "GET /now" is answered at once */
    int nwaiting, asked, gone, ended, goodbyes, refused, drained;
    int last_refusal;
} rig_t;

static inline void rig_text(exchange_t *x, const char *text) {
    answer_t answer = {.status = 200, .type = SPAN("text/plain"), .body = span_of(text)};
    exchange_answer(x, &answer);
}

static inline void rig_goodbye(void *data) {
    ++*(int *)data;
}

static inline void rig_request(void *data, exchange_t *x) {
    rig_t *rig = data;
    rig->asked++;
    arena_defer(&x->arena, rig_goodbye, &rig->goodbyes);
    if (span_starts(x->path, SPAN("/now"))) {
        rig_text(x, "now");
    } else {
        assert_in_range(rig->nwaiting, 0, RIG_MAX - 1);
        rig->waiting[rig->nwaiting++] = x;
    }
}

static inline void rig_gone(void *data, exchange_t *x) {
    rig_t *rig = data;
    rig->gone++;
    for (int i = 0; i < rig->nwaiting; i++)
        if (rig->waiting[i] == x) rig->waiting[i] = NULL;
}

static inline void rig_ended(void *data, exchange_t *x) {
    (void)x;
    ((rig_t *)data)->ended++;
}

static inline void rig_problem(
    void *data, int err, const char *detail, buf_t *body, const char **type) {
    rig_t *rig = data;
    rig->refused++;
    rig->last_refusal = err;
    buf_printf(body, "{\"code\":\"%s\",\"detail\":\"%s\"}", err_name(err), detail);
    *type = "application/problem+json";
}

static inline int rig_socket(int family, int *port) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *to = family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    socklen_t size = family == AF_INET6 ? sizeof six : sizeof four;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (bind(fd, to, size) != 0 || listen(fd, 128) != 0) {
        close(fd);
        return -1;
    }
    getsockname(fd, to, &size);
    *port = ntohs(family == AF_INET6 ? six.sin6_port : four.sin_port);
    return fd;
}

/* Fill rig->limits with net_limits_default first. */
static inline void rig_open(rig_t *rig, int family) {
    exchange_ops_t ops = {.request = rig_request,
        .gone = rig_gone,
        .ended = rig_ended,
        .problem = rig_problem,
        .data = rig};
    rig->family = family;
    rig->loop = loop_new();
    assert_non_null(rig->loop);
    rig->net = net_new(rig->loop, &rig->limits, &ops);
    assert_non_null(rig->net);
    rig->fd = rig_socket(family, &rig->port);
    assert_true(rig->fd >= 0);
    assert_int_equal(net_listen(rig->net, rig->fd), 0);
}

static inline void rig_start(rig_t *rig) {
    memset(rig, 0, sizeof *rig);
    net_limits_default(&rig->limits);
    rig_open(rig, AF_INET);
}

static inline void rig_stop(rig_t *rig) {
    net_delete(rig->net);
    loop_turn(rig->loop, 0);
    loop_delete(rig->loop);
    close(rig->fd);
    assert_int_equal(rig->ended, rig->asked);
    assert_int_equal(rig->goodbyes, rig->asked);
}

/* Turns the loop until the condition holds. */
#define RIG_UNTIL(rig, condition)                                                                  \
    do {                                                                                           \
        uint64_t rig_end = clock_mono_ns() + RIG_CEILING_NS;                                       \
        while (!(condition)) {                                                                     \
            assert_true(clock_mono_ns() < rig_end);                                                \
            loop_turn((rig)->loop, 1);                                                             \
        }                                                                                          \
    } while (0)

typedef struct client {
    int fd;
    bool closed, reset; /* the server's end */
    size_t len;
    char got[65536]; /* NUL-terminated */
} client_t;

static inline void client_open(client_t *client, const rig_t *rig) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6,
        .sin6_addr = IN6ADDR_LOOPBACK_INIT,
        .sin6_port = htons((uint16_t)rig->port)};
    struct sockaddr_in four = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)rig->port)};
    bool is_six = rig->family == AF_INET6;
    memset(client, 0, sizeof *client);
    client->fd = socket(rig->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client->fd >= 0);
    /* The backlog takes the connection, so that this does not wait for the loop. */
    assert_int_equal(connect(client->fd, is_six ? (void *)&six : (void *)&four,
                         is_six ? sizeof six : sizeof four),
        0);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
}

static inline void client_send(client_t *client, const char *text) {
    assert_int_equal(send(client->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static inline void client_get(client_t *client, const char *path) {
    char text[256];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    client_send(client, text);
}

/* Reads what is there. */
static inline void client_pump(client_t *client) {
    while (!client->closed && client->len < sizeof client->got - 1) {
        ssize_t n =
            recv(client->fd, client->got + client->len, sizeof client->got - 1 - client->len, 0);
        if (n < 0 && errno == EAGAIN) return;
        client->reset = n < 0;
        client->closed = n <= 0;
        if (n > 0) client->len += (size_t)n;
        client->got[client->len] = 0;
    }
}

static inline bool client_has(client_t *client, const char *text) {
    client_pump(client);
    return strstr(client->got, text) != NULL;
}

static inline bool client_ended(client_t *client) {
    client_pump(client);
    return client->closed;
}

/* How often text stands in what came. */
static inline int client_count(client_t *client, const char *text) {
    int count = 0;
    client_pump(client);
    for (const char *at = strstr(client->got, text); at != NULL; at = strstr(at + 1, text))
        count++;
    return count;
}

#endif
