/* line.c: reads and writes lines, and passes descriptors, on a non-blocking stream socket. */
#include "line.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/err.h"

#define READ_BYTES ((size_t)16 * 1024)
#define READS_MAX 64 /* a turn is bounded, however fast the other side writes */

void line_create(line_t *line, int fd) {
    line->fd = fd;
    line->received = -1;
    buf_create(&line->in);
    buf_create(&line->out);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void line_destroy(line_t *line) {
    close(line->fd);
    if (line->received >= 0) close(line->received);
    buf_destroy(&line->in);
    buf_destroy(&line->out);
    line->fd = line->received = -1;
}

int line_take_fd(line_t *line) {
    int fd = line->received;
    line->received = -1;
    return fd;
}

static void keep_fd(line_t *line, struct msghdr *head) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        if (line->received >= 0) close(line->received);
        memcpy(&line->received, CMSG_DATA(c), sizeof(int));
    }
}

static ssize_t receive(line_t *line, char *room) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {room, READ_BYTES};
    struct msghdr head = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(line->fd, &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got > 0) keep_fd(line, &head);
    return got;
}

/* Hands over the whole lines in `in` and keeps the beginning of the next. `from` is where the new bytes start. */
static void hand_over(line_t *line, size_t from, line_cb cb, void *data) {
    size_t start = 0;
    char *feed;
    while ((feed = memchr(line->in.ptr + from, '\n', line->in.len - from))) {
        size_t end = (size_t)(feed - line->in.ptr);
        cb(data, (span_t){line->in.ptr + start, end - start});
        start = from = end + 1;
    }
    if (start == 0) return;
    memmove(line->in.ptr, line->in.ptr + start, line->in.len - start);
    line->in.len -= start;
}

int line_read(line_t *line, line_cb cb, void *data) {
    for (int i = 0; i < READS_MAX; i++) {
        char *room = buf_reserve(&line->in, READ_BYTES);
        if (!room) return ERR_NO_MEMORY;
        ssize_t got = receive(line, room);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
        if (got <= 0) return ERR_CLOSED;
        size_t from = line->in.len;
        line->in.len += (size_t)got;
        hand_over(line, from, cb, data);
        if (line->in.len > LINE_MAX_BYTES) return ERR_TOO_LARGE;
    }
    return 0;
}

int line_flush(line_t *line) {
    size_t sent = 0;
    while (sent < line->out.len) {
        ssize_t n =
            send(line->fd, line->out.ptr + sent, line->out.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        if (n < 0) return ERR_CLOSED;
        sent += (size_t)n;
    }
    if (sent > 0) memmove(line->out.ptr, line->out.ptr + sent, line->out.len - sent);
    line->out.len -= sent;
    return 0;
}

int line_write(line_t *line, span_t text) {
    if (line->out.len + text.len > LINE_QUEUE_BYTES) return ERR_BUSY;
    buf_span(&line->out, text);
    if (line->out.failed) return ERR_NO_MEMORY;
    return line_flush(line);
}

int line_write_fd(line_t *line, span_t text, int fd) {
    if (line_waits(line)) return ERR_BUSY;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {
        .head = {
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
    struct iovec part = {(char *)text.ptr, text.len};
    struct msghdr head = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control)};
    ssize_t n = sendmsg(line->fd, &head, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? ERR_BUSY : ERR_CLOSED;
    return line_write(line, (span_t){text.ptr + n, text.len - (size_t)n});
}
