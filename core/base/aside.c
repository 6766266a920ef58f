/* aside.c: a call that blocks, on a thread that nobody joins: one that hangs in a pool of threads would hold up the
   pool's end, and by that the loop's and the program's. */
#include "base/aside.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "base/clock.h"

struct aside {
    aside_options_t options;
    uv_mutex_t lock;  /* of both: */
    uv_cond_t change; /* ran has become true */
    bool ran;         /* the thread has only to end */
    bool
        stopped; /* nobody waits any more: the thread frees it, or its message when that is on its way */
    posted_t posted;
};

static void free_aside(aside_t *aside) {
    uv_cond_destroy(&aside->change);
    uv_mutex_destroy(&aside->lock);
    free(aside);
}

static void discard(aside_t *aside) {
    aside->options.discard(aside->options.data);
    free_aside(aside);
}

/* The lock is taken so that the thread has left it before it goes. */
static void on_delivered(posted_t *posted) {
    aside_t *aside = LIST_OWNER(posted, aside_t, posted);
    uv_mutex_lock(&aside->lock);
    bool stopped = aside->stopped;
    uv_mutex_unlock(&aside->lock);
    if (!stopped) {
        loop_release(aside->options.loop);
        aside->options.done(aside->options.data);
    }
    discard(aside);
}

/* Posts inside the lock: once it is released, the call may be stopped and the loop deleted. */
static void report(aside_t *aside) {
    uv_mutex_lock(&aside->lock);
    bool stopped = aside->stopped;
    aside->ran = true;
    uv_cond_signal(&aside->change);
    if (!stopped) loop_post(aside->options.loop, &aside->posted);
    uv_mutex_unlock(&aside->lock);
    if (stopped) discard(aside);
}

static void *on_thread(void *data) {
    aside_t *aside = data;
    pthread_setname_np(pthread_self(), aside->options.name);
    aside->options.run(aside->options.data);
    report(aside);
    return NULL;
}

/* Without signals: they belong to the main thread. */
static int start_thread(aside_t *aside) {
    pthread_t thread;
    pthread_attr_t detached;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, &detached, on_thread, aside);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return failed ? UV_EAGAIN : 0;
}

static int create(aside_t *aside, const aside_options_t *options) {
    aside->options = *options;
    aside->posted.cb = on_delivered;
    int err = uv_mutex_init(&aside->lock);
    if (err) return err;
    err = uv_cond_init(&aside->change);
    if (err) uv_mutex_destroy(&aside->lock);
    return err;
}

int aside_start(aside_t **out, const aside_options_t *options) {
    aside_t *aside = calloc(1, sizeof *aside);
    if (!aside) return UV_ENOMEM;
    int err = create(aside, options);
    if (err) {
        free(aside);
        return err;
    }
    *out = aside;
    loop_hold(options->loop);
    err = start_thread(aside);
    if (!err) return 0;
    loop_release(options->loop);
    free_aside(aside);
    return err;
}

bool aside_wait(aside_t *aside, uint64_t until_ns) {
    uint64_t now;
    uv_mutex_lock(&aside->lock);
    while (!aside->ran && (now = clock_mono_ns()) < until_ns)
        uv_cond_timedwait(&aside->change, &aside->lock, until_ns - now);
    bool ran = aside->ran;
    uv_mutex_unlock(&aside->lock);
    return ran;
}

void aside_stop(aside_t *aside) {
    loop_release(aside->options.loop);
    uv_mutex_lock(&aside->lock);
    aside->stopped = true;
    uv_mutex_unlock(&aside->lock);
}
