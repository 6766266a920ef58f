/* channel.c: polls the worker's socket to the master and turns its lines into messages. */
#include "channel.h"
#include <stdlib.h>
#include <unistd.h>
#include "base/err.h"
#include "line.h"

struct channel {
    uv_poll_t poll;
    line_t line;
    arena_t arena;
    channel_cb cb;
    void *data;
    bool closed; /* channel_close was called */
    bool broken; /* the callback has seen NULL */
};

static void watch(channel_t *channel);

static void fail(channel_t *channel) {
    if (channel->closed || channel->broken) return;
    channel->broken = true;
    channel->cb(channel->data, NULL);
    channel_close(channel);
}

static void on_line(void *data, span_t text) {
    channel_t *channel = data;
    message_t message;
    if (channel->closed || channel->broken) return;
    if (message_parse(text, &channel->arena, &message) != 0) {
        fail(channel);
        return;
    }
    /* A descriptor travels beside an "accept" and beside nothing else. */
    if (strcmp(message.verb, "accept") == 0) message.fd = line_take_fd(&channel->line);
    channel->cb(channel->data, &message);
    if (message.fd >= 0) close(message.fd);
    arena_destroy(&channel->arena);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    channel_t *channel = poll->data;
    int err = status < 0 ? ERR_CLOSED : 0;
    if (!err && (events & UV_WRITABLE)) err = line_flush(&channel->line);
    if (!err && (events & (UV_READABLE | UV_DISCONNECT))) {
        err = line_read(&channel->line, on_line, channel);
    }
    if (err) fail(channel);
    watch(channel);
}

/* Asks for writability only while something waits: a socket is nearly always writable. */
static void watch(channel_t *channel) {
    if (channel->closed || channel->broken) return;
    int events = UV_READABLE | (line_waits(&channel->line) ? UV_WRITABLE : 0);
    uv_poll_start(&channel->poll, events, on_poll);
}

channel_t *channel_open(loop_t *loop, int fd, channel_cb cb, void *data) {
    channel_t *channel = calloc(1, sizeof(*channel));
    if (!channel || uv_poll_init(loop_uv(loop), &channel->poll, fd) != 0) {
        free(channel);
        close(fd);
        return NULL;
    }
    line_create(&channel->line, fd);
    arena_create(&channel->arena);
    channel->cb = cb;
    channel->data = data;
    channel->poll.data = channel;
    uv_unref((uv_handle_t *)&channel->poll);
    watch(channel);
    return channel;
}

int channel_send(channel_t *channel, const message_t *message) {
    if (channel->closed || channel->broken) return ERR_CLOSED;
    buf_t text;
    buf_create(&text);
    message_write(message, &text);
    int err = text.failed ? ERR_NO_MEMORY : line_write(&channel->line, buf_view(&text));
    buf_destroy(&text);
    watch(channel);
    return err;
}

static void on_closed(uv_handle_t *handle) {
    channel_t *channel = handle->data;
    line_destroy(&channel->line);
    arena_destroy(&channel->arena);
    free(channel);
}

void channel_close(channel_t *channel) {
    if (channel->closed) return;
    channel->closed = true;
    uv_close((uv_handle_t *)&channel->poll, on_closed);
}
