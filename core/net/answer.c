/* answer.c: an answer's bytes: status line, Date, length, what becomes of the connection, body. */
#include "net/conn.h"
#include "base/clock.h"
#include "base/err.h"

#define STATUS_LIST(X)                                                                             \
    X(200, "OK")                                                                                   \
    X(201, "Created")                                                                              \
    X(202, "Accepted")                                                                             \
    X(204, "No Content")                                                                           \
    X(207, "Multi-Status")                                                                         \
    X(301, "Moved Permanently")                                                                    \
    X(302, "Found")                                                                                \
    X(303, "See Other")                                                                            \
    X(304, "Not Modified")                                                                         \
    X(307, "Temporary Redirect")                                                                   \
    X(308, "Permanent Redirect")                                                                   \
    X(400, "Bad Request")                                                                          \
    X(401, "Unauthorized")                                                                         \
    X(402, "Payment Required")                                                                     \
    X(403, "Forbidden")                                                                            \
    X(404, "Not Found")                                                                            \
    X(405, "Method Not Allowed")                                                                   \
    X(406, "Not Acceptable")                                                                       \
    X(408, "Request Timeout")                                                                      \
    X(409, "Conflict")                                                                             \
    X(410, "Gone")                                                                                 \
    X(412, "Precondition Failed")                                                                  \
    X(413, "Content Too Large")                                                                    \
    X(414, "URI Too Long")                                                                         \
    X(415, "Unsupported Media Type")                                                               \
    X(417, "Expectation Failed")                                                                   \
    X(422, "Unprocessable Content")                                                                \
    X(428, "Precondition Required")                                                                \
    X(429, "Too Many Requests")                                                                    \
    X(431, "Request Header Fields Too Large")                                                      \
    X(499, "Client Closed Request")                                                                \
    X(500, "Internal Server Error")                                                                \
    X(501, "Not Implemented")                                                                      \
    X(502, "Bad Gateway")                                                                          \
    X(503, "Service Unavailable")                                                                  \
    X(504, "Gateway Timeout")                                                                      \
    X(505, "HTTP Version Not Supported")

static span_t status_line(int status) {
    switch (status) {
#define X(code, reason)                                                                            \
    case code:                                                                                     \
        return SPAN("HTTP/1.1 " #code " " reason "\r\n");
        STATUS_LIST(X)
#undef X
    default:
        return (span_t){NULL, 0};
    }
}

const char *exchange_reason(int status) {
    switch (status) {
#define X(code, reason)                                                                            \
    case code:                                                                                     \
        return reason;
        STATUS_LIST(X)
#undef X
    default:
        return "";
    }
}

static void put_status(buf_t *out, int status) {
    span_t line = status_line(status);
    if (line.ptr != NULL) {
        buf_span(out, line);
    } else {
        buf_printf(out, "HTTP/1.1 %d \r\n", status);
    }
}

static void put_date(net_t *net, buf_t *out) {
    uint64_t now = loop_now(net->loop);
    if (now >= net->date_until) {
        int64_t wall = clock_wall_ms();
        char text[30];
        clock_http_date(wall, text);
        memcpy(net->date, "Date: ", 6);
        memcpy(net->date + 6, text, 29);
        memcpy(net->date + 35, "\r\n", 2);
        net->date_until = now + 1000 - (uint64_t)(wall % 1000);
    }
    buf_put(out, net->date, 37);
}

static void put_length(buf_t *out, size_t len) {
    buf_put(out, "Content-Length: ", 16);
    buf_u64(out, len);
    buf_put(out, "\r\n", 2);
}

static void put_connection(const slot_t *slot, buf_t *out) {
    if (slot->closes) {
        buf_span(out, SPAN("Connection: close\r\n"));
    } else if (slot->x.minor == 0) {
        buf_span(out, SPAN("Connection: keep-alive\r\n"));
    }
}

static void put_answer(const slot_t *slot, const answer_t *answer, buf_t *out) {
    bool bodiless = answer->status == 204 || answer->status == 304;
    put_status(out, answer->status);
    put_date(slot->x.conn->net, out);
    if (answer->type.len > 0) {
        buf_put(out, "Content-Type: ", 14);
        buf_span(out, answer->type);
        buf_put(out, "\r\n", 2);
    }
    buf_span(out, answer->headers);
    if (!bodiless) put_length(out, answer->body.len);
    put_connection(slot, out);
    buf_put(out, "\r\n", 2);
    if (!bodiless && slot->x.method != METHOD_HEAD) buf_span(out, answer->body);
}

static bool is_newest(const slot_t *slot) {
    return slot->node.next == &slot->x.conn->queue && slot->x.conn->current == NULL;
}

/* The last answer says so; when the server drains or the client has shut its side, that is the newest request's. */
static bool closes(const slot_t *slot, const answer_t *answer) {
    const conn_t *conn = slot->x.conn;
    if (answer->close || !slot->keep_alive) return true;
    return (conn->eof || conn->net->draining) && is_newest(slot);
}

/* Straight into the buffer that leaves at the end of this read callback, when nothing must leave before it. */
static bool may_place(const slot_t *slot) {
    const conn_t *conn = slot->x.conn;
    if (conn->net->feeding != conn || conn->last) return false;
    if (slot->node.prev == &conn->queue) return true;
    const slot_t *before = LIST_OWNER(slot->node.prev, slot_t, node);
    return before->placed && !before->closes;
}

static void render(slot_t *slot, const answer_t *answer) {
    slot->closes = closes(slot, answer);
    slot->placed = may_place(slot);
    buf_t *out = slot->placed ? &slot->x.conn->net->out : &slot->out;
    size_t before = out->len;
    put_answer(slot, answer, out);
    slot->x.answered = true;
    slot->x.status = answer->status;
    slot->x.sent = out->len - before;
}

void exchange_answer(exchange_t *exchange, const answer_t *answer) {
    if (exchange->answered) return;
    conn_t *conn = exchange->conn;
    render((slot_t *)exchange, answer);
    /* Outside its own read callback an answer leaves at the end of the turn, together with its neighbours'. */
    if (conn->net->feeding != conn) loop_defer(conn->net->loop, &conn->later);
}

void exchange_refuse(conn_t *conn, int err, const char *detail) {
    net_t *net = conn->net;
    slot_t *slot = conn->current != NULL ? conn->current : slot_take(conn);
    if (slot == NULL || err == ERR_NO_MEMORY) {
        conn->broken = true;
        return;
    }
    conn->current = NULL;
    conn_enter(conn, READ_DEAF);
    list_push(&conn->queue, &slot->node);
    conn->depth++;
    if (conn->parser.method == HTTP_HEAD && slot->method_end > 0) slot->x.method = METHOD_HEAD;
    buf_t body;
    buf_create(&body);
    const char *type = "text/plain; charset=utf-8";
    if (detail == NULL) detail = err_text(err);
    if (net->ops.problem != NULL) {
        net->ops.problem(net->ops.data, err, detail, &body, &type);
    } else {
        buf_text(&body, detail);
    }
    answer_t answer = {
        .status = err_status(err), .type = span_of(type), .body = buf_view(&body), .close = true};
    render(slot, &answer);
    buf_destroy(&body);
}
