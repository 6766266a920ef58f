/* wire_server.c: an echo server for the wire pages: prints its port, says what it understood of each request. */
#include "base/arena.h"
#include "base/err.h"
#include "net/listener.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* "METHOD host path?query minor fields body" */
static void echo(void *data, exchange_t *x) {
    (void)data;
    buf_t body;
    buf_create(&body);
    buf_span(&body, x->method_text);
    buf_char(&body, ' ');
    buf_span(&body, x->host);
    buf_char(&body, ' ');
    buf_span(&body, x->path);
    buf_char(&body, '?');
    buf_span(&body, x->query);
    buf_printf(&body, " 1.%d %zu [", x->minor, x->nheaders);
    buf_span(&body, x->body);
    buf_char(&body, ']');
    answer_t answer = {.status = span_eq(x->path, SPAN("/empty")) ? 204 : 200,
        .type = SPAN("text/plain"),
        .body = buf_view(&body),
        .close = span_eq(x->path, SPAN("/close"))};
    exchange_answer(x, &answer);
    buf_destroy(&body);
}

static size_t body_limit(void *data, const exchange_t *x) {
    (void)data;
    return span_eq(x->path, SPAN("/small")) ? 4 : 1024 * 1024;
}

static int open_socket(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof to;
    if (fd < 0 || bind(fd, (struct sockaddr *)&to, size) != 0 || listen(fd, 128) != 0) return -1;
    getsockname(fd, (struct sockaddr *)&to, &size);
    printf("%d\n", ntohs(to.sin_port));
    fflush(stdout);
    return fd;
}

static void on_signal(uv_signal_t *handle, int number) {
    (void)number;
    net_delete(handle->data);
    uv_close((uv_handle_t *)handle, NULL);
}

int main(void) {
    net_limits_t limits;
    net_limits_default(&limits);
    exchange_ops_t ops = {.request = echo, .body_limit = body_limit};
    loop_t *loop = loop_new();
    net_t *net = net_new(loop, &limits, &ops);
    int fd = open_socket();
    if (fd < 0 || net_listen(net, fd) != 0) return 1;
    uv_signal_t term;
    uv_signal_init(loop_uv(loop), &term);
    term.data = net;
    uv_signal_start(&term, on_signal, SIGTERM);
    loop_run(loop);
    loop_delete(loop);
    close(fd);
    return 0;
}
