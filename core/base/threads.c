/* threads.c: a bounded queue, the threads that take from it, and the way back to the loop. */
#include "base/threads.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"

struct threads {
    threads_options_t options;
    char name[16];
    uv_mutex_t lock; /* of all below */
    uv_cond_t more;
    list_t waiting;
    size_t nwaiting;
    bool closing;
    int started;
    uv_thread_t ids[];
};

/* On the loop. */
static void deliver(posted_t *posted) {
    work_t *work = LIST_OWNER(posted, work_t, posted);
    loop_release(work->threads->options.loop);
    work->done(work);
}

/* The next work, or NULL when the pool closes. */
static work_t *take(threads_t *threads) {
    uv_mutex_lock(&threads->lock);
    while (list_empty(&threads->waiting) && !threads->closing)
        uv_cond_wait(&threads->more, &threads->lock);
    list_t *node = threads->closing ? NULL : list_shift(&threads->waiting);
    if (node) threads->nwaiting--;
    uv_mutex_unlock(&threads->lock);
    return node ? LIST_OWNER(node, work_t, node) : NULL;
}

/* Signals belong to the main thread: its handlers interrupt a script that holds the loop. */
static void block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

static void serve(void *data) {
    threads_t *threads = data;
    const threads_options_t *options = &threads->options;
    block_signals();
    pthread_setname_np(pthread_self(), threads->name);
    void *own = options->enter ? options->enter(options->data) : NULL;
    for (work_t *work; (work = take(threads));) {
        work->run(work, own);
        loop_post(options->loop, &work->posted);
    }
    if (options->leave) options->leave(own);
}

threads_t *threads_new(const threads_options_t *options) {
    size_t count = (size_t)options->count;
    threads_t *threads = calloc(1, sizeof *threads + count * sizeof threads->ids[0]);
    if (!threads) return NULL;
    threads->options = *options;
    snprintf(threads->name, sizeof threads->name, "%s", options->name ? options->name : "worker");
    list_init(&threads->waiting);
    if (uv_mutex_init(&threads->lock) != 0) goto no_lock;
    if (uv_cond_init(&threads->more) != 0) goto no_cond;
    for (; threads->started < options->count; threads->started++) {
        if (uv_thread_create(&threads->ids[threads->started], serve, threads) == 0) continue;
        threads_delete(threads);
        return NULL;
    }
    return threads;
no_cond:
    uv_mutex_destroy(&threads->lock);
no_lock:
    free(threads);
    return NULL;
}

static void skip(threads_t *threads, work_t *work) {
    work->skipped = true;
    loop_post(threads->options.loop, &work->posted);
}

static void close_queue(threads_t *threads) {
    uv_mutex_lock(&threads->lock);
    threads->closing = true;
    for (list_t *node; (node = list_shift(&threads->waiting));)
        skip(threads, LIST_OWNER(node, work_t, node));
    threads->nwaiting = 0;
    uv_cond_broadcast(&threads->more);
    uv_mutex_unlock(&threads->lock);
}

void threads_delete(threads_t *threads) {
    if (!threads) return;
    close_queue(threads);
    for (int i = 0; i < threads->started; i++)
        uv_thread_join(&threads->ids[i]);
    loop_deliver(threads->options.loop);
    uv_cond_destroy(&threads->more);
    uv_mutex_destroy(&threads->lock);
    free(threads);
}

int threads_submit(threads_t *threads, work_t *work) {
    work->threads = threads;
    work->skipped = false;
    work->posted.cb = deliver;
    list_init(&work->node);
    uv_mutex_lock(&threads->lock);
    bool full = threads->closing || threads->nwaiting >= threads->options.bound;
    if (!full) {
        list_push(&threads->waiting, &work->node);
        threads->nwaiting++;
        uv_cond_signal(&threads->more);
    }
    uv_mutex_unlock(&threads->lock);
    if (full) return ERR_BUSY;
    loop_hold(threads->options.loop);
    return 0;
}

/* A work that a thread has taken is in no list. */
bool threads_drop(threads_t *threads, work_t *work) {
    uv_mutex_lock(&threads->lock);
    bool waits = !list_empty(&work->node);
    if (waits) {
        list_remove(&work->node);
        threads->nwaiting--;
        skip(threads, work);
    }
    uv_mutex_unlock(&threads->lock);
    return waits;
}
