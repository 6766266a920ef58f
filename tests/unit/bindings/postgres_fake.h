/* postgres_fake.h: a server that speaks PostgreSQL's protocol on the test's own loop and does as it is told. */
#ifndef PERIGEE_TESTS_POSTGRES_FAKE_H
#define PERIGEE_TESTS_POSTGRES_FAKE_H
#include <arpa/inet.h>
#include <assert.h>
#include "base/bytes.h"
#include "base/list.h"
#include "postgres_rig.h"

#define FAKE_STATEMENTS 64

typedef struct fake fake_t;

/* A connection works off its messages in order, as a backend does. A statement that begins with "hold" stops it there
   until it is told to go on; with "flood" too, and it sends rows without an end meanwhile; "rows N" answers so many. */
typedef struct fake_conn {
    uv_tcp_t tcp;
    fake_t *fake;
    list_t node;
    buf_t in, out;
    bool started, closing, skipping; /* skipping: after an error, until the next sync */
    int pid;
    bool go, cancelled; /* for the statement that is held */
    bool stray;         /* the next statement is hit by a cancel */
    bool holding, flooding;
    char names[FAKE_STATEMENTS][32], texts[FAKE_STATEMENTS][160];
    int statements;
    char sql[160], value[160]; /* of the portal */
} fake_conn_t;

struct fake {
    loop_t *loop;
    uv_tcp_t listener;
    bool listening;
    int port;
    list_t conns;
    char url[128];
    int accepted, started, executed, parsed, named, cancels, pids, reads;
    bool silent;       /* does not answer the startup */
    bool standby;      /* says so at the startup */
    bool read_only;    /* refuses every statement so */
    bool obey;         /* a cancel ends what is held */
    bool miss;         /* a cancel hits what comes after what is held */
    bool deaf;         /* does not answer a cancel */
    const char *fatal; /* SQLSTATE in answer to the startup */
    int cut;           /* bytes of the first answer after the startup that still leave; -1: all */
    bool notice;       /* warns at each sync of a commit that was cut short */
    char last[160];    /* statement that was executed */
    char startup[512]; /* "user shop database shop ", as the last that started said */
};

static inline void fake_close(fake_conn_t *conn);

static inline void fake_on_closed(uv_handle_t *handle) {
    fake_conn_t *conn = handle->data;
    buf_destroy(&conn->in);
    buf_destroy(&conn->out);
    free(conn);
}

static inline void fake_close(fake_conn_t *conn) {
    if (conn->closing) return;
    conn->closing = true;
    list_remove(&conn->node);
    uv_close((uv_handle_t *)&conn->tcp, fake_on_closed);
}

static inline void fake_int(buf_t *out, uint32_t value) {
    value = htonl(value);
    buf_put(out, &value, 4);
}

static inline void fake_short(buf_t *out, uint16_t value) {
    value = htons(value);
    buf_put(out, &value, 2);
}

static inline void fake_message(fake_conn_t *conn, char type, const buf_t *body) {
    buf_char(&conn->out, type);
    fake_int(&conn->out, (uint32_t)body->len + 4);
    buf_span(&conn->out, buf_view(body));
}

static inline void fake_empty(fake_conn_t *conn, char type) {
    buf_char(&conn->out, type);
    fake_int(&conn->out, 4);
}

static inline void fake_string(buf_t *out, const char *text) {
    buf_put(out, text, strlen(text) + 1);
}

static inline void fake_ready(fake_conn_t *conn) {
    buf_char(&conn->out, 'Z');
    fake_int(&conn->out, 5);
    buf_char(&conn->out, 'I');
}

static inline void fake_fault(fake_conn_t *conn, char type, const char *severity,
    const char *sqlstate, const char *function) {
    buf_t body;
    buf_create(&body);
    buf_char(&body, 'S');
    fake_string(&body, severity);
    buf_char(&body, 'V');
    fake_string(&body, severity);
    buf_char(&body, 'C');
    fake_string(&body, sqlstate);
    buf_char(&body, 'M');
    fake_string(&body, "the fake says no");
    if (function) {
        buf_char(&body, 'R');
        fake_string(&body, function);
    }
    buf_char(&body, '\0');
    fake_message(conn, type, &body);
    buf_destroy(&body);
}

static inline void fake_error(fake_conn_t *conn, const char *sqlstate) {
    fake_fault(conn, 'E', "ERROR", sqlstate, NULL);
    conn->skipping = true;
}

static inline void fake_setting(fake_conn_t *conn, const char *name, const char *value) {
    buf_t body;
    buf_create(&body);
    fake_string(&body, name);
    fake_string(&body, value);
    fake_message(conn, 'S', &body);
    buf_destroy(&body);
}

static inline void fake_describe(fake_conn_t *conn) {
    buf_t body;
    buf_create(&body);
    fake_short(&body, 1);
    fake_string(&body, "v");
    fake_int(&body, 0);
    fake_short(&body, 0);
    fake_int(&body, 25);
    fake_short(&body, 0xffff);
    fake_int(&body, 0xffffffff);
    fake_short(&body, 0);
    fake_message(conn, 'T', &body);
    buf_destroy(&body);
}

static inline void fake_rows(fake_conn_t *conn, const char *text, int count) {
    buf_t body;
    buf_create(&body);
    fake_short(&body, 1);
    fake_int(&body, (uint32_t)strlen(text));
    buf_text(&body, text);
    for (int i = 0; i < count; i++)
        fake_message(conn, 'D', &body);
    buf_destroy(&body);
}

static inline void fake_complete(fake_conn_t *conn) {
    buf_t body;
    buf_create(&body);
    fake_string(&body, "SELECT 1");
    fake_message(conn, 'C', &body);
    buf_destroy(&body);
}

/* A thousand bytes in each. */
static inline void fake_wide_rows(fake_conn_t *conn, int count) {
    char text[1001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    fake_rows(conn, text, count);
}

/* They leave with the next answer, in front of it. */
static inline void fake_notify(fake_conn_t *conn, const char *channel, int count) {
    char text[1001];
    buf_t body;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buf_create(&body);
    fake_int(&body, 1);
    fake_string(&body, channel);
    fake_string(&body, text);
    for (int i = 0; i < count; i++)
        fake_message(conn, 'A', &body);
    buf_destroy(&body);
}

static inline void fake_work(fake_conn_t *conn);

typedef struct fake_write {
    uv_write_t request;
    buf_t bytes;
    fake_conn_t *conn;
    bool close; /* afterwards */
} fake_write_t;

static inline void fake_written(uv_write_t *request, int status) {
    fake_write_t *write = request->data;
    fake_conn_t *conn = write->conn;
    if (write->close) fake_close(conn);
    buf_destroy(&write->bytes);
    free(write);
    if (status == 0 && conn->flooding) fake_work(conn);
}

static inline void fake_flush(fake_conn_t *conn) {
    fake_t *fake = conn->fake;
    if (!conn->out.len || conn->closing) return;
    fake_write_t *write = calloc(1, sizeof *write);
    bool cuts = conn->started && fake->cut >= 0;
    write->bytes = conn->out;
    if (cuts && write->bytes.len > (size_t)fake->cut) write->bytes.len = (size_t)fake->cut;
    write->conn = conn;
    write->close = cuts;
    if (cuts) fake->cut = -1;
    buf_create(&conn->out);
    write->request.data = write;
    uv_buf_t piece = uv_buf_init(write->bytes.ptr, (unsigned)write->bytes.len);
    if (!write->bytes.ptr) piece.base = "";
    uv_write(&write->request, (uv_stream_t *)&conn->tcp, &piece, 1, fake_written);
}

static inline char *fake_text_of(fake_conn_t *conn, const char *name) {
    for (int i = 0; i < conn->statements; i++)
        if (strcmp(conn->names[i], name) == 0) return conn->texts[i];
    snprintf(conn->names[conn->statements], sizeof conn->names[0], "%s", name);
    return conn->texts[conn->statements++ % FAKE_STATEMENTS];
}

static inline void fake_parse(fake_conn_t *conn, const char *body) {
    const char *sql = body + strlen(body) + 1;
    conn->fake->parsed++;
    conn->fake->named += body[0] != '\0';
    snprintf(fake_text_of(conn, body), sizeof conn->texts[0], "%s", sql);
    fake_empty(conn, '1');
}

static inline uint16_t fake_read_short(const char *at) {
    uint16_t value;
    memcpy(&value, at, 2);
    return ntohs(value);
}

static inline uint32_t fake_read_int(const char *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return ntohl(value);
}

static inline void fake_bind(fake_conn_t *conn, const char *body) {
    const char *at = body + strlen(body) + 1;
    snprintf(conn->sql, sizeof conn->sql, "%s", fake_text_of(conn, at));
    at += strlen(at) + 1;
    at += 2 + 2 * fake_read_short(at);
    int count = fake_read_short(at);
    snprintf(conn->value, sizeof conn->value, "%s", conn->sql);
    if (count)
        snprintf(conn->value, sizeof conn->value, "%.*s", (int)fake_read_int(at + 2), at + 6);
    fake_empty(conn, '2');
}

static inline void fake_answer(fake_conn_t *conn) {
    bool is_lsn = strncmp(conn->sql, "select (", 8) == 0;
    if (strncmp(conn->sql, "rows ", 5) == 0)
        fake_wide_rows(conn, atoi(conn->sql + 5));
    else
        fake_rows(conn, is_lsn ? "7" : conn->value, 1);
    fake_complete(conn);
}

/* False: it is held here. */
static inline bool fake_execute(fake_conn_t *conn) {
    fake_t *fake = conn->fake;
    bool floods = strncmp(conn->sql, "flood", 5) == 0;
    bool held = floods || strncmp(conn->sql, "hold", 4) == 0;
    if (!conn->holding) {
        fake->executed++;
        snprintf(fake->last, sizeof fake->last, "%s", conn->value);
    }
    conn->holding = held && !conn->go && !conn->cancelled;
    conn->flooding = conn->holding && floods;
    if (conn->flooding && !conn->out.len) fake_wide_rows(conn, 64);
    if (conn->holding) return false;
    bool stopped = conn->cancelled || conn->stray;
    if (held) conn->go = conn->cancelled = false;
    if (!held) conn->stray = false;
    if (stopped && (conn->stray == false || held))
        fake_error(conn, "57014");
    else if (fake->read_only)
        fake_error(conn, "25006");
    else if (strncmp(conn->sql, "fail ", 5) == 0)
        fake_error(conn, conn->sql + 5);
    else
        fake_answer(conn);
    return true;
}

/* False: held. */
static inline bool fake_do(fake_conn_t *conn, char type, const char *body) {
    if (type == 'X') {
        fake_close(conn);
    } else if (type == 'S') {
        conn->skipping = false;
        if (conn->fake->notice) fake_fault(conn, 'N', "WARNING", "01000", "SyncRepWaitForLSN");
        fake_ready(conn);
    } else if (conn->skipping) {
        return true;
    } else if (type == 'P') {
        fake_parse(conn, body);
    } else if (type == 'B') {
        fake_bind(conn, body);
    } else if (type == 'D') {
        fake_describe(conn);
    } else if (type == 'E') {
        return fake_execute(conn);
    }
    return true;
}

static inline fake_conn_t *fake_conn(fake_t *fake, int pid) {
    for (list_t *node = fake->conns.next; node != &fake->conns; node = node->next) {
        fake_conn_t *conn = LIST_OWNER(node, fake_conn_t, node);
        if (conn->started && (!pid || conn->pid == pid)) return conn;
    }
    return NULL;
}

static inline void fake_take_cancel(fake_t *fake, int pid) {
    fake_conn_t *conn = fake_conn(fake, pid);
    fake->cancels++;
    if (!conn) return;
    if (fake->obey && conn->holding) conn->cancelled = true;
    if (fake->miss) conn->stray = conn->go = true;
    fake_work(conn);
}

/* Names and values end with a NUL each, and so does the list. */
static inline void fake_note_startup(fake_t *fake, const char *words) {
    size_t len = 0;
    for (; *words && len < sizeof fake->startup; words += strlen(words) + 1)
        len += (size_t)snprintf(fake->startup + len, sizeof fake->startup - len, "%s ", words);
}

/* True: the startup was taken. */
static inline bool fake_start_conn(fake_conn_t *conn, const char *body) {
    fake_t *fake = conn->fake;
    uint32_t code = fake_read_int(body);
    buf_t words;
    if (code == 80877102) {
        fake_take_cancel(fake, (int)fake_read_int(body + 4));
        if (!fake->deaf) fake_close(conn);
        return fake->deaf;
    }
    if (code == 80877103) { /* asks for TLS */
        buf_char(&conn->out, 'N');
        return true;
    }
    if (code != 196608 || fake->silent) return true;
    fake_note_startup(fake, body + 4);
    if (fake->fatal) {
        fake_fault(conn, 'E', "FATAL", fake->fatal, NULL);
        fake_flush(conn);
        return true;
    }
    buf_create(&words);
    fake_int(&words, 0);
    fake_message(conn, 'R', &words);
    buf_reset(&words);
    conn->pid = ++fake->pids;
    fake_setting(conn, "server_version", "15.0");
    fake_setting(conn, "in_hot_standby", fake->standby ? "on" : "off");
    fake_setting(conn, "default_transaction_read_only", "off");
    fake_int(&words, (uint32_t)conn->pid);
    fake_int(&words, 4711);
    fake_message(conn, 'K', &words);
    buf_destroy(&words);
    fake_ready(conn);
    fake_flush(conn);
    conn->started = true;
    fake->started++;
    return true;
}

/* One message's length with its type, or 0 when it is not whole. */
static inline size_t fake_whole(const fake_conn_t *conn, size_t head) {
    if (conn->in.len < head + 4) return 0;
    size_t len = head + fake_read_int(conn->in.ptr + head);
    return conn->in.len < len ? 0 : len;
}

static inline void fake_work(fake_conn_t *conn) {
    bool going = true;
    while (going && !conn->closing) {
        size_t head = conn->started, len = fake_whole(conn, head);
        if (!len) break;
        if (!conn->started)
            going = fake_start_conn(conn, conn->in.ptr + 4);
        else
            going = fake_do(conn, conn->in.ptr[0], conn->in.ptr + 5);
        if (!going) break;
        memmove(conn->in.ptr, conn->in.ptr + len, conn->in.len - len);
        conn->in.len -= len;
    }
    fake_flush(conn);
}

/* What is held goes on. */
static inline void fake_go(fake_conn_t *conn) {
    conn->go = true;
    fake_work(conn);
}

static inline void fake_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf) {
    (void)handle;
    *buf = uv_buf_init(malloc(size), (unsigned)size);
}

static inline void fake_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
    fake_conn_t *conn = stream->data;
    if (count > 0) {
        conn->fake->reads++;
        buf_put(&conn->in, buf->base, (size_t)count);
        fake_work(conn);
    } else if (count < 0) {
        fake_close(conn);
    }
    free(buf->base);
}

static inline void fake_accept(uv_stream_t *stream, int status) {
    fake_t *fake = stream->data;
    fake_conn_t *conn = calloc(1, sizeof *conn);
    assert(status == 0);
    conn->fake = fake;
    conn->tcp.data = conn;
    buf_create(&conn->in);
    buf_create(&conn->out);
    list_init(&conn->node);
    list_push(&fake->conns, &conn->node);
    uv_tcp_init(loop_uv(fake->loop), &conn->tcp);
    uv_accept(stream, (uv_stream_t *)&conn->tcp);
    uv_tcp_nodelay(&conn->tcp, 1);
    uv_read_start((uv_stream_t *)&conn->tcp, fake_alloc, fake_read);
    fake->accepted++;
}

static inline void fake_stop(void *data) {
    fake_t *fake = data;
    while (!list_empty(&fake->conns))
        fake_close(LIST_OWNER(fake->conns.next, fake_conn_t, node));
    if (fake->listening) uv_close((uv_handle_t *)&fake->listener, NULL);
    fake->listening = false;
}

/* Closes with the loop. */
static inline void fake_start(fake_t *fake, loop_t *loop) {
    struct sockaddr_in address;
    int size = sizeof address;
    *fake = (fake_t){.loop = loop, .cut = -1};
    list_init(&fake->conns);
    fake->listener.data = fake;
    uv_tcp_init(loop_uv(loop), &fake->listener);
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_bind(&fake->listener, (struct sockaddr *)&address, 0);
    int err = uv_listen((uv_stream_t *)&fake->listener, 128, fake_accept);
    assert(err == 0);
    (void)err;
    uv_tcp_getsockname(&fake->listener, (struct sockaddr *)&address, &size);
    fake->listening = true;
    fake->port = ntohs(address.sin_port);
    snprintf(fake->url, sizeof fake->url, "postgres://shop@127.0.0.1:%d/shop?sslmode=disable",
        fake->port);
    loop_exit_add(loop, fake_stop, fake);
}

#endif
