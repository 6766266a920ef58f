/* line.h: lines over a non-blocking socket, in and out, both bounded; no loop, so that master and worker share it. */
#ifndef PERIGEE_LINE_H
#define PERIGEE_LINE_H
#include "base/bytes.h"

#define LINE_MAX_BYTES ((size_t)1024 * 1024)
#define LINE_QUEUE_BYTES ((size_t)8 * 1024 * 1024)

typedef struct line {
    int fd;       /* a stream socket, made non-blocking and owned: closed by line_destroy */
    int received; /* a descriptor that came along and that nobody took, or -1 */
    buf_t in, out;
} line_t;

/* A whole line without its line feed; alive during the call. Must not destroy the line_t. */
typedef void (*line_cb)(void *data, span_t line);

void line_create(line_t *line, int fd);
void line_destroy(line_t *line);
/* Reads what is there and hands over each whole line. 0 when the socket is empty for now, ERR_CLOSED when the other
   side is gone, ERR_TOO_LARGE for a line over LINE_MAX_BYTES, ERR_NO_MEMORY. */
int line_read(line_t *line, line_cb cb, void *data);
/* The descriptor that arrived with the latest bytes (the caller closes it), or -1. */
int line_take_fd(line_t *line);
/* Queues whole lines and sends what the socket takes. ERR_BUSY when the queue would pass LINE_QUEUE_BYTES (nothing is
   queued then), ERR_CLOSED. */
int line_write(line_t *line, span_t text);
/* Sends the text with a descriptor beside it, which the caller keeps. ERR_BUSY unless the queue is empty. */
int line_write_fd(line_t *line, span_t text, int fd);
/* Sends more of the queue: 0 or ERR_CLOSED. Call it when the socket is writable. */
int line_flush(line_t *line);
static inline bool line_waits(const line_t *line) {
    return line->out.len > 0;
}

#endif
