/* conn.c: one connection: reading, its queue of requests, its deadlines, and its end in two steps. */
#include "net/conn.h"
#include "base/err.h"
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEVER UINT64_MAX

static uint64_t now_of(const conn_t *conn) {
    return loop_now(conn->net->loop);
}

void conn_enter(conn_t *conn, read_state_t state) {
    conn->state = state;
    conn->since_ms = now_of(conn);
    conn->window_bytes = 0;
    conn->overdue = false;
}

static void on_closed(uv_handle_t *handle) {
    conn_t *conn = handle->data;
    net_t *net = conn->net;
    free(conn);
    net_handle_closed(net);
}

static void abandon_all(conn_t *conn) {
    for (list_t *node = list_shift(&conn->queue); node != NULL; node = list_shift(&conn->queue))
        slot_abandon(LIST_OWNER(node, slot_t, node));
    conn->depth = 0;
    if (conn->current != NULL) slot_release(conn->current);
    conn->current = NULL;
    buf_destroy(&conn->held);
}

void conn_close(conn_t *conn) {
    if (conn->closed) return;
    conn->closed = true;
    deadline_clear(&conn->deadline);
    deferred_clear(&conn->later);
    list_remove(&conn->node);
    abandon_all(conn);
    deferred_clear(&conn->later); /* `gone` may have answered a neighbour */
    conn->net->count--;
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
    net_conn_closed(conn->net);
}

void conn_reset(conn_t *conn) {
    struct linger at_once = {1, 0};
    uv_os_fd_t fd;
    if (!conn->closed && uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    conn_close(conn);
}

static void on_shut(uv_shutdown_t *request, int status) {
    conn_t *conn = request->data;
    if (conn->closed) return;
    if (status < 0 || conn->eof) {
        conn_close(conn);
        return;
    }
    /* Closing now with bytes unread would reset the connection, and the answer could be lost with it. */
    conn->lingering = true;
    conn_enter(conn, READ_DEAF);
    conn_settle(conn);
}

void conn_end(conn_t *conn) {
    if (conn->ending || conn->closed) return;
    conn->ending = true;
    conn_enter(conn, READ_DEAF);
    abandon_all(conn);
    conn->shut.data = conn;
    bool done = conn->eof && conn->unsent == 0;
    if (done || uv_shutdown(&conn->shut, (uv_stream_t *)&conn->tcp, on_shut) != 0) conn_close(conn);
}

void conn_go_on(conn_t *conn) {
    output_flush(conn);
    bool finishing = conn->eof || conn->net->draining;
    bool empty = list_empty(&conn->queue) && conn->current == NULL && conn->held.len == 0;
    if (conn->broken) {
        conn_close(conn);
    } else if (conn->last || (finishing && empty)) {
        conn_end(conn);
    }
    conn_settle(conn);
}

static void hold(conn_t *conn, const char *bytes, size_t len) {
    buf_put(&conn->held, bytes, len);
    if (conn->held.failed) conn->broken = true;
}

/* A whole request stands in conn->current. */
static void dispatch(conn_t *conn) {
    net_t *net = conn->net;
    slot_t *slot = conn->current;
    conn->current = NULL;
    list_push(&conn->queue, &slot->node);
    conn->depth++;
    if (++conn->requests >= net->limits.requests_max) slot->keep_alive = false;
    conn_enter(conn, slot->keep_alive && !net->draining ? READ_IDLE : READ_DEAF);
    slot->dispatched = true;
    net->ops.request(net->ops.data, &slot->x);
    if (!slot->x.answered && exchange_keep(&slot->x) != ERR_OK) conn->broken = true;
    if (slot->closes) conn_enter(conn, READ_DEAF);
}

/* Answered ones leave first: only unanswered requests fill the queue. */
static bool has_room(conn_t *conn) {
    if (conn->depth < conn->net->limits.pipeline_max) return true;
    output_flush(conn);
    return conn->depth < conn->net->limits.pipeline_max;
}

/* Returns how many bytes were consumed. */
static size_t parse_window(conn_t *conn, const char *bytes, size_t len) {
    size_t all = len;
    int err = ERR_OK;
    while (len > 0 && conn->state != READ_DEAF) {
        bool whole = false;
        if (!has_room(conn)) hold(conn, bytes, len);
        if (conn->held.len > 0 || conn->broken || conn->last) break;
        err = parse_run(conn, &bytes, &len, &whole);
        if (err != ERR_OK) break;
        if (whole) dispatch(conn);
    }
    if (err == ERR_OK && conn->current != NULL) err = parse_pause(conn);
    if (err != ERR_OK) exchange_refuse(conn, err, conn->detail);
    return all - len;
}

void conn_feed(conn_t *conn, const char *bytes, size_t len) {
    net_t *net = conn->net;
    net->feeding = conn;
    net->window = (span_t){bytes, len};
    net->read_ns = 0;
    conn->offset += parse_window(conn, bytes, len);
    net->feeding = NULL;
    net->window = (span_t){NULL, 0};
    conn_go_on(conn);
}

static void resume(conn_t *conn) {
    buf_t held = conn->held;
    buf_create(&conn->held);
    conn_feed(conn, held.ptr, held.len);
    buf_destroy(&held);
}

static void on_later(deferred_t *deferred) {
    conn_t *conn = LIST_OWNER(deferred, conn_t, later);
    conn_go_on(conn);
    if (!conn->closed && conn->held.len > 0 && has_room(conn)) resume(conn);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    (void)suggested;
    *buf = uv_buf_init(((conn_t *)handle->data)->net->input, NET_INPUT_SIZE);
}

static void on_eof(conn_t *conn) {
    conn->eof = true;
    conn->reading = false;
    if (conn->lingering) {
        conn_close(conn);
        return;
    }
    if (conn->current != NULL) exchange_refuse(conn, ERR_INVALID, "the request is not complete");
    conn_go_on(conn);
}

static void drop(conn_t *conn, size_t len) {
    conn->dropped += len;
    if (conn->lingering && conn->dropped > NET_DROP_MAX) {
        conn_close(conn);
    } else {
        conn_settle(conn);
    }
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf) {
    conn_t *conn = stream->data;
    if (nread == 0) return;
    if (nread == UV_EOF) {
        on_eof(conn);
    } else if (nread < 0) {
        conn_close(conn);
    } else if (conn->state == READ_DEAF) {
        drop(conn, (size_t)nread);
    } else {
        conn_feed(conn, buf->base, (size_t)nread);
    }
}

static bool wants_bytes(const conn_t *conn) {
    if (conn->eof || conn->held.len > 0) return false;
    if (conn->state == READ_DEAF) return conn->dropped <= NET_DROP_MAX;
    return conn->unsent <= conn->net->limits.out_max;
}

static void set_reading(conn_t *conn) {
    bool wanted = wants_bytes(conn);
    if (wanted == conn->reading) return;
    conn->reading = wanted;
    if (!wanted) {
        uv_read_stop((uv_stream_t *)&conn->tcp);
        return;
    }
    conn_enter(conn, conn->state); /* the pause was not the client's */
    if (uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0) conn_close(conn);
}

/* The body's rate is judged in windows of half the head's time, so that a fast start buys no long stall. */
static uint64_t body_window(const conn_t *conn) {
    return conn->net->limits.head_ms / 2 + 1;
}

static uint64_t read_due(const conn_t *conn) {
    const net_limits_t *limits = &conn->net->limits;
    if (conn->lingering) return conn->since_ms + NET_LINGER_MS;
    if (!conn->reading) return NEVER;
    bool busy = !list_empty(&conn->queue) || conn->unsent > 0;
    switch (conn->state) {
    case READ_IDLE:
        return busy ? NEVER : conn->since_ms + limits->idle_ms;
    case READ_HEAD:
        return conn->since_ms + limits->head_ms;
    case READ_BODY:
        return conn->since_ms + body_window(conn);
    default:
        return NEVER;
    }
}

static uint64_t write_due(const conn_t *conn) {
    return conn->unsent > 0 ? conn->write_ms + conn->net->limits.write_ms : NEVER;
}

void conn_settle(conn_t *conn) {
    if (conn->closed) return;
    set_reading(conn);
    if (conn->closed) return;
    uint64_t read = read_due(conn), write = write_due(conn);
    uint64_t due = read < write ? read : write;
    /* A deadline that fires too early looks again; that is cheaper than moving it with each request. */
    if (due == NEVER || (deadline_armed(&conn->deadline) && conn->deadline.at_ms <= due)) return;
    deadline_set(conn->net->loop, &conn->deadline, due);
}

/* True when the socket has taken nothing since the last look. */
static bool stalled(conn_t *conn) {
    size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);
    bool moved = queued != conn->last_queue;
    conn->last_queue = queued;
    if (moved) conn->write_ms = now_of(conn);
    return !moved;
}

static bool fast_enough(const conn_t *conn) {
    return conn->window_bytes * 1000 >= conn->net->limits.body_rate * body_window(conn);
}

static void read_expired(conn_t *conn) {
    if (conn->state == READ_IDLE || conn->lingering) {
        conn_close(conn);
    } else if (conn->state == READ_BODY && fast_enough(conn)) {
        conn_enter(conn, READ_BODY);
    } else {
        exchange_refuse(conn, ERR_REQUEST_TIMEOUT, "the request did not arrive in time");
        conn_go_on(conn);
    }
}

static void on_deadline(deadline_t *deadline) {
    conn_t *conn = LIST_OWNER(deadline, conn_t, deadline);
    uint64_t now = now_of(conn);
    if (now >= write_due(conn) && stalled(conn)) {
        conn_reset(conn);
        return;
    }
    if (now >= read_due(conn) && !conn->overdue) {
        /* After a stop of the whole process everything is late, though the bytes wait in the socket: poll first. */
        conn->overdue = true;
        deadline_set(conn->net->loop, deadline, now + 1);
        return;
    }
    if (now >= read_due(conn)) read_expired(conn);
    conn_settle(conn);
}

void conn_drain(conn_t *conn) {
    uv_os_fd_t fd;
    int waiting = 0;
    if (conn->state != READ_IDLE || !list_empty(&conn->queue) || conn->unsent > 0) return;
    /* A request that is on its way already is still answered, with Connection: close. */
    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0) ioctl(fd, FIONREAD, &waiting);
    if (waiting == 0) conn_close(conn);
}

static void create(conn_t *conn, net_t *net, const char *peer) {
    conn->net = net;
    conn->tcp.data = conn;
    list_init(&conn->queue);
    list_init(&conn->node);
    buf_create(&conn->held);
    deadline_init(&conn->deadline, on_deadline);
    deferred_init(&conn->later, on_later);
    memcpy(conn->peer, peer, strnlen(peer, sizeof conn->peer - 1));
    parse_create(conn);
    conn_enter(conn, READ_IDLE);
}

conn_t *conn_open(net_t *net, int fd, const char *peer) {
    conn_t *conn = calloc(1, sizeof *conn);
    if (conn == NULL || uv_tcp_init(loop_uv(net->loop), &conn->tcp) != 0) {
        free(conn);
        close(fd);
        return NULL;
    }
    create(conn, net, peer);
    list_push(&net->conns, &conn->node);
    net->count++;
    net->handles++;
    if (uv_tcp_open(&conn->tcp, fd) != 0) {
        close(fd);
        conn_close(conn);
        return NULL;
    }
    conn_settle(conn);
    return conn->closed ? NULL : conn;
}
