/* dial.c: connects a socket: looks the name up, tries its addresses in turn, each for its share of the time. */
#include "redis/dial.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/lookup.h"

#define KEEPALIVE_S 15

struct redis_dial {
    loop_t *loop;
    redis_endpoint_t at;
    redis_dial_cb done; /* NULL once it is over */
    void *data;
    uint64_t until_ms;
    deferred_t start;
    deadline_t patience; /* with the address that is tried, when there is another */
    lookup_t *lookup;    /* under way */
    struct addrinfo *found, *next;
    uv_poll_t poll; /* open while fd >= 0 */
    int fd, err;
};

static void try_next(redis_dial_t *dial);

static void free_dial(redis_dial_t *dial) {
    if (dial->found) freeaddrinfo(dial->found);
    free(dial);
}

/* The one end: the memory goes when the poll handle does not need it any more. */
static void settle(redis_dial_t *dial) {
    if (dial->fd < 0) free_dial(dial);
}

static void finish(redis_dial_t *dial, int fd, int err) {
    redis_dial_cb done = dial->done;
    dial->done = NULL;
    done(dial->data, fd, err);
    settle(dial);
}

/* Runs after the poll handle is closed, because its descriptor goes on to somebody else's handle or is closed. */
static void on_poll_closed(uv_handle_t *handle) {
    redis_dial_t *dial = handle->data;
    int fd = dial->fd;
    dial->fd = -1;
    if (!dial->done) {
        close(fd);
        settle(dial);
    } else if (dial->err) {
        close(fd);
        try_next(dial);
    } else {
        finish(dial, fd, 0);
    }
}

static void on_writable(uv_poll_t *poll, int status, int events) {
    (void)events;
    redis_dial_t *dial = poll->data;
    int fault = 0;
    socklen_t size = sizeof fault;
    getsockopt(
        dial->fd, SOL_SOCKET, SO_ERROR, &fault, &size); /* libuv says UV_EBADF to any of them */
    dial->err = fault ? uv_translate_sys_error(fault) : status;
    deadline_clear(&dial->patience);
    uv_close((uv_handle_t *)poll, on_poll_closed);
}

static void on_patience(deadline_t *deadline) {
    redis_dial_t *dial = LIST_OWNER(deadline, redis_dial_t, patience);
    dial->err = UV_ETIMEDOUT;
    uv_close((uv_handle_t *)&dial->poll, on_poll_closed);
}

/* Small writes must not wait for each other's acknowledgement, and a peer that vanished must be noticed some day. */
static void tune(int fd) {
    int on = 1, interval = KEEPALIVE_S;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
}

/* 0 when the poll handle tells the outcome. */
static int begin(redis_dial_t *dial, const struct sockaddr *address, socklen_t size) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return uv_translate_sys_error(errno);
    if (address->sa_family != AF_UNIX) tune(fd);
    bool begun = connect(fd, address, size) == 0 || errno == EINPROGRESS;
    int err = begun ? 0 : uv_translate_sys_error(errno);
    if (!err) err = uv_poll_init(loop_uv(dial->loop), &dial->poll, fd);
    if (err) {
        close(fd);
        return err;
    }
    dial->fd = fd;
    dial->poll.data = dial;
    uv_poll_start(&dial->poll, UV_WRITABLE, on_writable);
    return 0;
}

/* An address that swallows what is sent to it must leave time for those after it. The last has all that is left. */
static void be_patient(redis_dial_t *dial) {
    uint64_t now = loop_now(dial->loop), left = 1;
    for (const struct addrinfo *info = dial->next; info; info = info->ai_next)
        left++;
    if (left > 1 && dial->until_ms > now)
        deadline_set(dial->loop, &dial->patience, now + (dial->until_ms - now) / left);
}

static void try_next(redis_dial_t *dial) {
    while (dial->next) {
        struct addrinfo *info = dial->next;
        dial->next = info->ai_next;
        dial->err = begin(dial, info->ai_addr, info->ai_addrlen);
        if (dial->err) continue;
        be_patient(dial);
        return;
    }
    finish(dial, -1, dial->err ? dial->err : UV_EADDRNOTAVAIL);
}

static void on_looked_up(void *data, int err, struct addrinfo *found) {
    redis_dial_t *dial = data;
    dial->lookup = NULL;
    dial->found = dial->next = found;
    if (err)
        finish(dial, -1, err);
    else
        try_next(dial);
}

static int dial_path(redis_dial_t *dial) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(dial->at.host) >= sizeof address.sun_path) return UV_ENAMETOOLONG;
    memcpy(address.sun_path, dial->at.host, strlen(dial->at.host) + 1);
    return begin(dial, (struct sockaddr *)&address, sizeof address);
}

/* An address needs no lookup, which would cost a thread. */
static int dial_address(redis_dial_t *dial, bool *is_address) {
    struct sockaddr_storage address = {0};
    *is_address = true;
    if (uv_ip4_addr(dial->at.host, dial->at.port, (struct sockaddr_in *)&address) == 0)
        return begin(dial, (struct sockaddr *)&address, sizeof(struct sockaddr_in));
    if (uv_ip6_addr(dial->at.host, dial->at.port, (struct sockaddr_in6 *)&address) == 0)
        return begin(dial, (struct sockaddr *)&address, sizeof(struct sockaddr_in6));
    *is_address = false;
    return 0;
}

static void on_start(deferred_t *deferred) {
    redis_dial_t *dial = LIST_OWNER(deferred, redis_dial_t, start);
    bool is_address = true;
    int err = dial->at.port ? dial_address(dial, &is_address) : dial_path(dial);
    if (!is_address)
        err = lookup_start(
            &dial->lookup, dial->loop, dial->at.host, dial->at.port, on_looked_up, dial);
    if (err) finish(dial, -1, err);
}

redis_dial_t *redis_dial_new(
    loop_t *loop, const redis_endpoint_t *at, uint64_t until_ms, redis_dial_cb done, void *data) {
    redis_dial_t *dial = calloc(1, sizeof *dial);
    if (!dial) return NULL;
    *dial = (redis_dial_t){
        .loop = loop, .at = *at, .until_ms = until_ms, .done = done, .data = data, .fd = -1};
    deadline_init(&dial->patience, on_patience);
    deferred_init(&dial->start, on_start);
    loop_defer(loop, &dial->start);
    return dial;
}

void redis_dial_stop(redis_dial_t *dial) {
    dial->done = NULL;
    deferred_clear(&dial->start);
    deadline_clear(&dial->patience);
    if (dial->lookup) lookup_stop(dial->lookup);
    dial->lookup = NULL;
    uv_handle_t *poll = (uv_handle_t *)&dial->poll;
    if (dial->fd >= 0 && !uv_is_closing(poll)) uv_close(poll, on_poll_closed);
    settle(dial);
}
