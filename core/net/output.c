/* output.c: takes answers in order to the socket: one write per connection, uv_write only for what does not fit. */
#include "net/conn.h"
#include <stdlib.h>

#define KEPT_OUT 262144 /* one large answer must not cost its memory for good */

/* Bytes the socket did not take at once. */
typedef struct rest {
    uv_write_t request;
    conn_t *conn;
    size_t len;
    char bytes[];
} rest_t;

static void on_written(uv_write_t *request, int status) {
    rest_t *rest = request->data;
    conn_t *conn = rest->conn;
    conn->unsent -= rest->len;
    free(rest);
    if (conn->closed) return;
    conn->write_ms = loop_now(conn->net->loop);
    if (conn->state == READ_IDLE) conn->since_ms = conn->write_ms;
    if (status < 0) {
        conn_close(conn);
    } else {
        conn_go_on(conn);
    }
}

static void queue_rest(conn_t *conn, const char *bytes, size_t len) {
    rest_t *rest = malloc(sizeof *rest + len);
    if (rest == NULL) {
        conn->broken = true;
        return;
    }
    rest->request.data = rest;
    rest->conn = conn;
    rest->len = len;
    memcpy(rest->bytes, bytes, len);
    uv_buf_t piece = uv_buf_init(rest->bytes, (unsigned)len);
    if (uv_write(&rest->request, (uv_stream_t *)&conn->tcp, &piece, 1, on_written) != 0) {
        free(rest);
        conn->broken = true;
        return;
    }
    if (conn->unsent == 0) conn->write_ms = loop_now(conn->net->loop);
    conn->unsent += len;
    conn->last_queue = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);
}

static void put_out(conn_t *conn, buf_t *out) {
    if (out->failed) conn->broken = true;
    if (out->len == 0 || conn->broken) return;
    uv_buf_t piece = uv_buf_init(out->ptr, (unsigned)out->len);
    int sent = UV_EAGAIN;
    if (conn->unsent == 0) sent = uv_try_write((uv_stream_t *)&conn->tcp, &piece, 1);
    if (sent == UV_EAGAIN) sent = 0;
    if (sent < 0) {
        conn->broken = true;
    } else if ((size_t)sent < out->len) {
        queue_rest(conn, out->ptr + sent, out->len - (size_t)sent);
    }
}

/* Moves the answered exchanges that are next in order to `done`, their bytes to the buffer. */
static void collect(conn_t *conn, buf_t *out, list_t *done) {
    while (!list_empty(&conn->queue) && !conn->last) {
        slot_t *slot = LIST_OWNER(conn->queue.next, slot_t, node);
        if (!slot->x.answered) return;
        if (slot->out.failed) conn->broken = true;
        if (!slot->placed) buf_span(out, buf_view(&slot->out));
        conn->last = slot->closes;
        conn->depth--;
        list_remove(&slot->node);
        list_push(done, &slot->node);
    }
}

/* Only when nothing else is to be answered before, and when the client has not sent its body anyway. */
static void invite_body(conn_t *conn, buf_t *out) {
    slot_t *slot = conn->current;
    if (slot == NULL || !slot->expects || !list_empty(&conn->queue)) return;
    if (conn->state != READ_BODY || conn->last) return;
    slot->expects = false;
    if (slot->received == 0) buf_span(out, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
}

void output_flush(conn_t *conn) {
    buf_t *out = &conn->net->out;
    list_t done;
    list_init(&done);
    collect(conn, out, &done);
    invite_body(conn, out);
    if (conn->state == READ_IDLE && !list_empty(&done)) conn->since_ms = loop_now(conn->net->loop);
    put_out(conn, out);
    if (out->cap > KEPT_OUT) buf_destroy(out);
    buf_reset(out);
    for (list_t *node = list_shift(&done); node != NULL; node = list_shift(&done))
        slot_release(LIST_OWNER(node, slot_t, node));
}
