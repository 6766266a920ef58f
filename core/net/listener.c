/* listener.c: sockets that accept, the limits of their worker, and the graceful end of all its connections. */
#include "net/conn.h"
#include "base/log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_BATCH                                                                               \
    64 /* per turn and socket, so that a flood of connections does not starve the open ones */
#define RETRY_MS 100  /* pause after a failed accept */
#define STORES_FDS 64 /* descriptors left to the stores */
#define CONNS_CEILING 65536

typedef struct listener {
    uv_poll_t poll;
    net_t *net;
    list_t node;
    int fd;
} listener_t;

static size_t default_conns(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > CONNS_CEILING)
        return CONNS_CEILING;
    size_t share = (size_t)limit.rlim_cur * 8 / 10;
    size_t rest = limit.rlim_cur > STORES_FDS ? (size_t)limit.rlim_cur - STORES_FDS : 1;
    return share < rest ? share : rest;
}

void net_limits_default(net_limits_t *limits) {
    *limits = (net_limits_t){
        .line_max = 8 * 1024,
        .headers_max = 16 * 1024,
        .fields_max = 100,
        .body_max = 1024 * 1024,
        .head_ms = 10 * 1000,
        .body_rate = 1024,
        .idle_ms = 60 * 1000,
        .requests_max = 10000,
        .pipeline_max = 16,
        .conns_max = default_conns(),
        .out_max = 1024 * 1024,
        .write_ms = 30 * 1000,
    };
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void destroy(net_t *net) {
    deadline_clear(&net->retry);
    deadline_clear(&net->drain_end);
    deferred_clear(&net->finish);
    for (list_t *node = list_shift(&net->pool); node != NULL; node = list_shift(&net->pool))
        slot_discard(LIST_OWNER(node, slot_t, node));
    if (net->spare >= 0) close(net->spare);
    buf_destroy(&net->out);
    free(net->input);
    free(net);
}

static void set_accepting(net_t *net, bool on) {
    if (net->paused == !on) return;
    net->paused = !on;
    for (list_t *node = net->listeners.next; node != &net->listeners; node = node->next) {
        listener_t *listener = LIST_OWNER(node, listener_t, node);
        if (on) {
            uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
        } else {
            uv_poll_stop(&listener->poll);
        }
    }
}

static void on_retry(deadline_t *deadline) {
    net_t *net = LIST_OWNER(deadline, net_t, retry);
    if (net->count < net->limits.conns_max) set_accepting(net, true);
}

/* Only a free descriptor lets us take the connection out of the backlog and refuse it: else the client would hang
   and the poll would report it again and again. */
static void refuse_one(net_t *net, int fd) {
    if (net->spare >= 0) {
        close(net->spare);
        int refused = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (refused >= 0) close(refused);
        net->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    log_event(LOG_WARN, "accept_no_descriptor", "\"connections\":%zu", net->count);
}

static void peer_text(const struct sockaddr_storage *from, char out[46]) {
    out[0] = 0;
    if (from->ss_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)from)->sin_addr, out, 46);
    } else if (from->ss_family == AF_INET6) {
        const struct in6_addr *address = &((const struct sockaddr_in6 *)from)->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(address);
        inet_ntop(mapped ? AF_INET : AF_INET6, mapped ? address->s6_addr + 12 : address->s6_addr,
            out, 46);
    }
}

/* Whether there may be more to accept now. */
static bool accept_one(net_t *net, int listening) {
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    int fd = accept4(listening, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        char peer[46];
        peer_text(&from, peer);
        return conn_open(net, fd, peer) != NULL;
    }
    if (errno == EAGAIN) return false;
    /* The client left between its connect and our accept. */
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) return true;
    if (errno == EMFILE || errno == ENFILE) refuse_one(net, listening);
    set_accepting(net, false);
    deadline_set(net->loop, &net->retry, loop_now(net->loop) + RETRY_MS);
    return false;
}

static void on_acceptable(uv_poll_t *poll, int status, int events) {
    listener_t *listener = poll->data;
    net_t *net = listener->net;
    (void)events;
    if (status < 0) return;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        if (net->count >= net->limits.conns_max) {
            set_accepting(net, false);
            return;
        }
        if (!accept_one(net, listener->fd)) return;
    }
}

static void on_listener_closed(uv_handle_t *handle) {
    listener_t *listener = handle->data;
    net_t *net = listener->net;
    close(listener->fd);
    free(listener);
    net_handle_closed(net);
}

int net_listen(net_t *net, int fd) {
    listener_t *listener = calloc(1, sizeof *listener);
    if (listener == NULL) return UV_ENOMEM;
    listener->net = net;
    listener->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int rc = listener->fd < 0 ? -errno : 0;
    if (rc == 0) rc = uv_poll_init(loop_uv(net->loop), &listener->poll, listener->fd);
    if (rc != 0) {
        if (listener->fd >= 0) close(listener->fd);
        free(listener);
        return rc;
    }
    listener->poll.data = listener;
    net->handles++;
    list_push(&net->listeners, &listener->node);
    /* Accepted sockets inherit it, which spares a call per connection. */
    setsockopt(listener->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (net->paused) return 0;
    return uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
}

static void close_listeners(net_t *net) {
    for (list_t *node = list_shift(&net->listeners); node != NULL;
         node = list_shift(&net->listeners)) {
        listener_t *listener = LIST_OWNER(node, listener_t, node);
        uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
    }
    deadline_clear(&net->retry);
}

static void check_drained(net_t *net) {
    if (net->draining && net->count == 0 && !net->deleted) loop_defer(net->loop, &net->finish);
}

void net_conn_closed(net_t *net) {
    if (net->deleted || net->draining) {
        check_drained(net);
    } else if (net->count < net->limits.conns_max) {
        set_accepting(net, true);
    }
}

void net_handle_closed(net_t *net) {
    net->handles--;
    if (net->deleted && net->handles == 0) destroy(net);
}

static void on_finish(deferred_t *deferred) {
    net_t *net = LIST_OWNER(deferred, net_t, finish);
    void (*drained)(void *) = net->drained;
    net->drained = NULL;
    deadline_clear(&net->drain_end);
    if (drained != NULL) drained(net->drained_data);
}

/* Resets connections until none is left; each call takes one out of the list. */
static void reset_all(net_t *net) {
    while (!list_empty(&net->conns))
        conn_reset(LIST_OWNER(net->conns.next, conn_t, node));
}

static void on_drain_end(deadline_t *deadline) {
    reset_all(LIST_OWNER(deadline, net_t, drain_end));
}

void net_drain(net_t *net, uint64_t max_ms, void (*drained)(void *data), void *data) {
    if (net->draining || net->deleted) return;
    net->draining = true;
    net->drained = drained;
    net->drained_data = data;
    close_listeners(net);
    deadline_set(net->loop, &net->drain_end, loop_now(net->loop) + max_ms);
    list_t *next;
    for (list_t *node = net->conns.next; node != &net->conns; node = next) {
        next = node->next;
        conn_drain(LIST_OWNER(node, conn_t, node));
    }
    check_drained(net);
}

void net_delete(net_t *net) {
    if (net == NULL || net->deleted) return;
    net->deleted = true;
    close_listeners(net);
    deadline_clear(&net->drain_end);
    deferred_clear(&net->finish);
    while (!list_empty(&net->conns))
        conn_close(LIST_OWNER(net->conns.next, conn_t, node));
    if (net->handles == 0) destroy(net);
}

size_t net_count(const net_t *net) {
    return net->count;
}

net_t *net_new(loop_t *loop, const net_limits_t *limits, const exchange_ops_t *ops) {
    net_t *net = calloc(1, sizeof *net);
    char *input = malloc(NET_INPUT_SIZE);
    if (net == NULL || input == NULL) {
        free(net);
        free(input);
        return NULL;
    }
    /* A client that left must cost an EPIPE, not the process. */
    signal(SIGPIPE, SIG_IGN);
    net->loop = loop;
    net->limits = *limits;
    net->ops = *ops;
    net->input = input;
    net->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    buf_create(&net->out);
    list_init(&net->listeners);
    list_init(&net->conns);
    list_init(&net->pool);
    deadline_init(&net->retry, on_retry);
    deadline_init(&net->drain_end, on_drain_end);
    deferred_init(&net->finish, on_finish);
    return net;
}
