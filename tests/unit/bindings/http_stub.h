/* http_stub.h: a small HTTP server on the test's own loop and a free port; the path says how it behaves. */
#ifndef PERIGEE_TESTS_HTTP_STUB_H
#define PERIGEE_TESTS_HTTP_STUB_H
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/bytes.h"
#include "base/loop.h"

typedef struct stub {
    loop_t *loop;
    uv_tcp_t listener;
    int port;
    int connections; /* ever accepted */
    int open;
    int requests; /* that have arrived whole */
    list_t conns;
} stub_t;

typedef struct stub_conn {
    uv_tcp_t tcp;
    list_t node;
    stub_t *stub;
    buf_t in;
} stub_conn_t;

static void stub_closed(uv_handle_t *handle) {
    stub_conn_t *conn = handle->data;
    conn->stub->open--;
    buf_destroy(&conn->in);
    free(conn);
}

static void stub_close(stub_conn_t *conn) {
    if (uv_is_closing((uv_handle_t *)&conn->tcp)) return;
    list_remove(&conn->node);
    uv_close((uv_handle_t *)&conn->tcp, stub_closed);
}

static void stub_written(uv_write_t *write, int status) {
    (void)status;
    free(write->data);
    free(write);
}

static void stub_send(stub_conn_t *conn, const buf_t *out) {
    uv_write_t *write = malloc(sizeof *write);
    write->data = malloc(out->len);
    memcpy(write->data, out->ptr, out->len);
    uv_buf_t bytes = uv_buf_init(write->data, (unsigned)out->len);
    uv_write(write, (uv_stream_t *)&conn->tcp, &bytes, 1, stub_written);
}

static void stub_answer(stub_conn_t *conn, const char *head, span_t body) {
    buf_t out;
    buf_create(&out);
    buf_printf(&out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, body.len);
    buf_span(&out, body);
    stub_send(conn, &out);
    buf_destroy(&out);
}

/* /body/N: N bytes in chunks without a length before them; /sized/N: with it. */
static void stub_bytes(stub_conn_t *conn, const char *target, bool chunked) {
    size_t size = strtoul(strrchr(target, '/') + 1, NULL, 10);
    buf_t body, out;
    buf_create(&body);
    buf_create(&out);
    for (size_t i = 0; i < size; i++)
        buf_char(&body, 'x');
    if (chunked) {
        buf_text(&out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        buf_printf(&out, "%zx\r\n", size);
        buf_span(&out, buf_view(&body));
        buf_text(&out, "\r\n0\r\n\r\n");
        stub_send(conn, &out);
    } else {
        stub_answer(conn, "200 OK", buf_view(&body));
    }
    buf_destroy(&body);
    buf_destroy(&out);
}

/* /redirect/N: N more redirects, then /hello. */
static void stub_redirect(stub_conn_t *conn, const char *target) {
    int left = atoi(strrchr(target, '/') + 1);
    char head[128];
    if (left > 0)
        snprintf(
            head, sizeof head, "302 Found\r\nX-Hop: %d\r\nLocation: /redirect/%d", left, left - 1);
    else
        snprintf(head, sizeof head, "302 Found\r\nLocation: /hello");
    stub_answer(conn, head, SPAN("gone"));
}

static void stub_many_headers(stub_conn_t *conn) {
    buf_t head;
    buf_create(&head);
    buf_text(&head, "200 OK");
    for (int i = 0; i < 2000; i++)
        buf_printf(&head, "\r\nX-Number-%d: 0123456789012345678901234567890123456789", i);
    buf_char(&head, '\0');
    stub_answer(conn, head.ptr, SPAN(""));
    buf_destroy(&head);
}

static void stub_serve(stub_conn_t *conn, const char *target, span_t request) {
    conn->stub->requests++;
    if (strcmp(target, "/hello") == 0)
        stub_answer(conn, "200 OK\r\nX-Word: a\r\nX-WORD: b\r\nSet-Cookie: c=1\r\nSet-Cookie: d=2",
            SPAN("hello"));
    else if (strcmp(target, "/echo") == 0)
        stub_answer(conn, "201 Created", request);
    else if (strncmp(target, "/body/", 6) == 0 || strncmp(target, "/sized/", 7) == 0)
        stub_bytes(conn, target, target[1] == 'b');
    else if (strncmp(target, "/redirect/", 10) == 0)
        stub_redirect(conn, target);
    else if (strcmp(target, "/to-file") == 0)
        stub_answer(conn, "302 Found\r\nLocation: file:///etc/passwd", SPAN(""));
    else if (strcmp(target, "/headers") == 0)
        stub_many_headers(conn);
    else if (strcmp(target, "/close") == 0)
        stub_close(conn);
    else if (strcmp(target, "/silent") != 0)
        stub_answer(conn, "404 Not Found", SPAN("nothing"));
}

/* The whole request's length once it has arrived, else 0. */
static size_t stub_complete(buf_t *in) {
    buf_char(in, '\0');
    in->len--;
    char *end = strstr(in->ptr, "\r\n\r\n"), *length = strstr(in->ptr, "Content-Length: ");
    if (!end) return 0;
    size_t head = (size_t)(end - in->ptr) + 4;
    size_t body = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
    return in->len >= head + body ? head + body : 0;
}

static void stub_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes) {
    stub_conn_t *conn = stream->data;
    if (got > 0) buf_put(&conn->in, bytes->base, (size_t)got);
    free(bytes->base);
    if (got < 0 || (conn->in.len && conn->in.ptr[0] < 'A')) { /* the end, or no HTTP */
        stub_close(conn);
        return;
    }
    size_t whole = stub_complete(&conn->in);
    if (!whole) return;
    char target[256] = "";
    sscanf(conn->in.ptr, "%*s %255s", target);
    stub_serve(conn, target, (span_t){conn->in.ptr, whole});
    conn->in.len = 0;
}

static void stub_alloc(uv_handle_t *handle, size_t size, uv_buf_t *bytes) {
    (void)handle;
    *bytes = uv_buf_init(malloc(size), (unsigned)size);
}

static void stub_accept(uv_stream_t *listener, int status) {
    stub_t *stub = listener->data;
    assert(status == 0);
    stub_conn_t *conn = calloc(1, sizeof *conn);
    conn->stub = stub;
    conn->tcp.data = conn;
    uv_tcp_init(loop_uv(stub->loop), &conn->tcp);
    uv_accept(listener, (uv_stream_t *)&conn->tcp);
    list_init(&conn->node);
    list_push(&stub->conns, &conn->node);
    uv_read_start((uv_stream_t *)&conn->tcp, stub_alloc, stub_read);
    stub->connections++;
    stub->open++;
}

/* Closes with the loop. */
static void stub_stop(void *data) {
    stub_t *stub = data;
    while (!list_empty(&stub->conns))
        stub_close(LIST_OWNER(stub->conns.next, stub_conn_t, node));
    uv_close((uv_handle_t *)&stub->listener, NULL);
}

static void stub_start(stub_t *stub, loop_t *loop) {
    struct sockaddr_in address;
    int size = sizeof address;
    *stub = (stub_t){.loop = loop};
    list_init(&stub->conns);
    stub->listener.data = stub;
    uv_tcp_init(loop_uv(loop), &stub->listener);
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_bind(&stub->listener, (struct sockaddr *)&address, 0);
    int err = uv_listen((uv_stream_t *)&stub->listener, 128, stub_accept);
    assert(err == 0);
    uv_tcp_getsockname(&stub->listener, (struct sockaddr *)&address, &size);
    stub->port = ntohs(address.sin_port);
    loop_exit_add(loop, stub_stop, stub);
}

#endif
