/* loop.c: one turn of the loop: deadlines from the wheel, messages of threads, what was put off. */
#include "base/loop.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/wheel.h"

typedef struct loop_exit {
    struct loop_exit *older;
    void (*fn)(void *data);
    void *data;
} loop_exit_t;

struct loop {
    uv_loop_t uv;
    wheel_t wheel;
    uv_timer_t timer;    /* active only while a deadline is armed */
    uint64_t timer_at;   /* when it goes off; only meaningful while it is active */
    uv_timer_t patience; /* bounds loop_turn */
    uv_check_t check;    /* active only while something is deferred, like idle */
    uv_idle_t idle;      /* keeps the poll from waiting while something is deferred */
    list_t deferred, draining;
    uv_async_t async;
    uv_mutex_t lock; /* of inbox */
    list_t inbox, delivering;
    unsigned held;
    loop_exit_t *exits; /* newest first */
};

static loop_t *owner(uv_handle_t *handle) {
    return handle->data;
}

static void on_timer(uv_timer_t *timer);

/* Arms the timer for the wheel's next event. A timer that goes off too early finds nothing and costs one wake-up, so
   only an earlier event moves it. */
static void arm(loop_t *loop) {
    uint64_t at = wheel_next_ms(&loop->wheel);
    if (uv_is_active((uv_handle_t *)&loop->timer) && loop->timer_at <= at) return;
    uint64_t now = uv_now(&loop->uv);
    loop->timer_at = at;
    uv_timer_start(&loop->timer, on_timer, at > now ? at - now : 0, 0);
}

static void on_timer(uv_timer_t *timer) {
    loop_t *loop = owner((uv_handle_t *)timer);
    wheel_advance(&loop->wheel, uv_now(&loop->uv));
    if (loop->wheel.armed) arm(loop);
}

void deadline_set(loop_t *loop, deadline_t *deadline, uint64_t at_ms) {
    deadline_clear(deadline);
    deadline->loop = loop;
    deadline->at_ms = at_ms;
    wheel_add(&loop->wheel, deadline, uv_now(&loop->uv));
    arm(loop);
}

void deadline_clear(deadline_t *deadline) {
    if (!deadline_armed(deadline)) return;
    list_remove(&deadline->node);
    if (--deadline->loop->wheel.armed == 0) uv_timer_stop(&deadline->loop->timer);
}

static void on_idle(uv_idle_t *idle) {
    (void)idle;
}

static void on_check(uv_check_t *check) {
    loop_t *loop = owner((uv_handle_t *)check);
    list_splice(&loop->draining, &loop->deferred);
    for (list_t *node; (node = list_shift(&loop->draining));) {
        deferred_t *deferred = LIST_OWNER(node, deferred_t, node);
        deferred->cb(deferred);
    }
    if (!list_empty(&loop->deferred)) return;
    uv_check_stop(&loop->check);
    uv_idle_stop(&loop->idle);
}

void loop_defer(loop_t *loop, deferred_t *deferred) {
    list_remove(&deferred->node);
    list_push(&loop->deferred, &deferred->node);
    if (uv_is_active((uv_handle_t *)&loop->check)) return;
    uv_check_start(&loop->check, on_check);
    uv_idle_start(&loop->idle, on_idle);
}

void loop_post(loop_t *loop, posted_t *posted) {
    list_init(&posted->node);
    uv_mutex_lock(&loop->lock);
    bool first = list_empty(&loop->inbox);
    list_push(&loop->inbox, &posted->node);
    /* Inside the lock: once it is released, the loop may deliver this message and be deleted. */
    if (first) uv_async_send(&loop->async);
    uv_mutex_unlock(&loop->lock);
}

/* A callback may call this again; the inner call then delivers the rest of the outer one's batch first. */
void loop_deliver(loop_t *loop) {
    uv_mutex_lock(&loop->lock);
    list_splice(&loop->delivering, &loop->inbox);
    uv_mutex_unlock(&loop->lock);
    for (list_t *node; (node = list_shift(&loop->delivering));) {
        posted_t *posted = LIST_OWNER(node, posted_t, node);
        posted->cb(posted);
    }
}

static void on_async(uv_async_t *async) {
    loop_deliver(owner((uv_handle_t *)async));
}

void loop_hold(loop_t *loop) {
    if (loop->held++ == 0) uv_ref((uv_handle_t *)&loop->async);
}

void loop_release(loop_t *loop) {
    if (--loop->held == 0) uv_unref((uv_handle_t *)&loop->async);
}

/* These cannot fail; what can is in loop_new. */
static void init_handles(loop_t *loop) {
    uv_timer_init(&loop->uv, &loop->timer);
    uv_timer_init(&loop->uv, &loop->patience);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->timer.data = loop->patience.data = loop->check.data = loop->idle.data = loop;
    loop->async.data = loop;
    uv_unref((uv_handle_t *)&loop->async);
    list_init(&loop->deferred);
    list_init(&loop->draining);
    list_init(&loop->inbox);
    list_init(&loop->delivering);
    wheel_create(&loop->wheel, uv_now(&loop->uv));
}

loop_t *loop_new(void) {
    loop_t *loop = calloc(1, sizeof *loop);
    if (!loop) return NULL;
    if (uv_loop_init(&loop->uv) != 0) goto no_loop;
    if (uv_mutex_init(&loop->lock) != 0) goto no_lock;
    if (uv_async_init(&loop->uv, &loop->async, on_async) != 0) goto no_async;
    init_handles(loop);
    return loop;
no_async:
    uv_mutex_destroy(&loop->lock);
no_lock:
    uv_loop_close(&loop->uv);
no_loop:
    free(loop);
    return NULL;
}

uv_loop_t *loop_uv(loop_t *loop) {
    return &loop->uv;
}

void loop_run(loop_t *loop) {
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void on_patience(uv_timer_t *timer) {
    (void)timer;
}

/* The timer also keeps a loop alive that has nothing but a post to wait for. It repeats, because a turn may run timers
   before it polls: one that is late already would leave the poll without a bound. */
void loop_turn(loop_t *loop, uint64_t max_ms) {
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->patience, on_patience, max_ms, max_ms ? max_ms : 1);
    uv_run(&loop->uv, max_ms ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    uv_timer_stop(&loop->patience);
}

void loop_stop(loop_t *loop) {
    uv_stop(&loop->uv);
}

uint64_t loop_now(loop_t *loop) {
    return uv_now(&loop->uv);
}

int loop_exit_add(loop_t *loop, void (*fn)(void *data), void *data) {
    loop_exit_t *node = malloc(sizeof *node);
    if (!node) return ERR_NO_MEMORY;
    *node = (loop_exit_t){loop->exits, fn, data};
    loop->exits = node;
    return 0;
}

static void run_exits(loop_t *loop) {
    while (loop->exits) {
        loop_exit_t *node = loop->exits;
        loop->exits = node->older;
        node->fn(node->data);
        free(node);
    }
}

/* Turns until nothing is alive; close callbacks take one or two, requests in libuv's pool as long as they need. The
   bound is for an owner that forgot a handle, which is reported afterwards. */
static void wind_down(loop_t *loop) {
    uint64_t start = uv_hrtime();
    do
        loop_turn(loop, uv_loop_alive(&loop->uv) ? 1 : 0);
    while (uv_loop_alive(&loop->uv) && uv_hrtime() - start < UINT64_C(5000000000));
}

static void close_own(loop_t *loop) {
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->patience, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->async, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_delete(loop_t *loop) {
    if (!loop) return;
    run_exits(loop);
    uv_unref((uv_handle_t *)&loop->timer); /* what is still armed must not hold up the end */
    wind_down(loop);
    if (uv_loop_alive(&loop->uv)) {
        fprintf(stderr, "loop_delete: these handles were not closed by their owners:\n");
        uv_print_active_handles(&loop->uv, stderr);
        abort();
    }
    close_own(loop);
    if (uv_loop_close(&loop->uv) != 0) {
        fprintf(stderr, "loop_delete: these handles were not closed by their owners:\n");
        uv_print_all_handles(&loop->uv, stderr);
        abort();
    }
    uv_mutex_destroy(&loop->lock);
    free(loop);
}
