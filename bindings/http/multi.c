/* multi.c: carries readiness and time from libuv to curl, and finished transfers back. */
#include "http/multi.h"
#include <stdlib.h>
#include "base/err.h"

#define IDLE_CONNECTIONS 32L

struct multi {
    loop_t *loop;
    const late_t *late;
    CURLM *curl;
    multi_cb done;
    void *data;
    uv_timer_t timer;
};

/* One per socket that curl wants watched; its memory goes when its handle is closed. */
typedef struct watch {
    uv_poll_t poll;
    multi_t *multi;
    curl_socket_t socket;
} watch_t;

/* The message's memory is curl's and goes with the removal, so it is copied first. */
static void drain(multi_t *multi) {
    int left;
    for (CURLMsg *message; (message = multi->late->multi_info_read(multi->curl, &left));) {
        if (message->msg != CURLMSG_DONE) continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        multi->late->multi_remove_handle(multi->curl, easy);
        multi->done(multi->data, easy, code);
    }
}

static void act(multi_t *multi, curl_socket_t socket, int what) {
    int running;
    multi->late->multi_socket_action(multi->curl, socket, what, &running);
    drain(multi);
}

static void on_timer(uv_timer_t *timer) {
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    watch_t *watch = (watch_t *)poll; /* may be closed inside act */
    int what = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE) what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE) what |= CURL_CSELECT_OUT;
    act(watch->multi, watch->socket, what);
}

static void on_watch_closed(uv_handle_t *handle) {
    free(handle);
}

/* NULL leaves the transfer to its deadline: an error from here would end every transfer of the multi. */
static watch_t *watch_new(multi_t *multi, curl_socket_t socket) {
    watch_t *watch = calloc(1, sizeof *watch);
    if (!watch) return NULL;
    watch->multi = multi;
    watch->socket = socket;
    if (uv_poll_init_socket(loop_uv(multi->loop), &watch->poll, socket) != 0) {
        free(watch);
        return NULL;
    }
    multi->late->multi_assign(multi->curl, socket, watch);
    return watch;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *data, void *socket_data) {
    (void)easy;
    multi_t *multi = data;
    watch_t *watch = socket_data;
    if (what == CURL_POLL_REMOVE) {
        if (!watch) return 0;
        uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        multi->late->multi_assign(multi->curl, socket, NULL);
        return 0;
    }
    if (!watch) watch = watch_new(multi, socket);
    if (!watch) return 0;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&watch->poll, events, on_poll);
    return 0;
}

static int on_timeout(CURLM *curl, long timeout_ms, void *data) {
    (void)curl;
    multi_t *multi = data;
    if (timeout_ms < 0)
        uv_timer_stop(&multi->timer);
    else
        uv_timer_start(&multi->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

multi_t *multi_new(loop_t *loop, const late_t *late, multi_cb done, void *data) {
    multi_t *multi = calloc(1, sizeof *multi);
    CURLM *curl = multi ? late->multi_init() : NULL;
    if (!curl) {
        free(multi);
        return NULL;
    }
    *multi = (multi_t){.loop = loop, .late = late, .curl = curl, .done = done, .data = data};
    uv_timer_init(loop_uv(loop), &multi->timer);
    multi->timer.data = multi;
    late->multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    late->multi_setopt(curl, CURLMOPT_SOCKETDATA, multi);
    late->multi_setopt(curl, CURLMOPT_TIMERFUNCTION, on_timeout);
    late->multi_setopt(curl, CURLMOPT_TIMERDATA, multi);
    late->multi_setopt(curl, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
    return multi;
}

static void on_multi_closed(uv_handle_t *handle) {
    free(handle->data);
}

void multi_delete(multi_t *multi) {
    multi->late->multi_cleanup(multi->curl);
    uv_close((uv_handle_t *)&multi->timer, on_multi_closed);
}

int multi_add(multi_t *multi, CURL *easy) {
    return multi->late->multi_add_handle(multi->curl, easy) == CURLM_OK ? 0 : ERR_NO_MEMORY;
}

void multi_remove(multi_t *multi, CURL *easy) {
    multi->late->multi_remove_handle(multi->curl, easy);
}
