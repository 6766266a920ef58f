/* threads.h: Perigee's own worker threads for blocking drivers; never libuv's pool, which DNS and files use. */
#ifndef PERIGEE_BASE_THREADS_H
#define PERIGEE_BASE_THREADS_H
#include "base/loop.h"

typedef struct threads threads_t;
/* One piece of work. The submitter owns the memory until `done` has been called. */
typedef struct work work_t;
struct work {
    list_t node;
    posted_t posted;
    void (*run)(work_t *work, void *thread_data); /* on a worker thread */
    void (*done)(work_t *work); /* on the loop, exactly once, also when the pool closes first */
    threads_t *threads;         /* set by threads_submit */
    bool skipped;               /* the pool closed or the work was dropped before it ran */
};

typedef struct threads_options {
    loop_t *loop;
    int count;                  /* threads, 1..64 */
    size_t bound;               /* most works waiting; beyond it threads_submit is ERR_BUSY */
    const char *name;           /* for the thread's name, at most 15 bytes */
    void *(*enter)(void *data); /* makes a thread's own data when it starts; may be NULL */
    void (*leave)(void *thread_data);
    void *data;
} threads_options_t;

threads_t *threads_new(const threads_options_t *options); /* NULL when out of memory or threads */
/* Waits for works that run, skips those that wait, joins, delivers every `done`, frees. */
void threads_delete(threads_t *threads);
int threads_submit(threads_t *threads, work_t *work); /* 0 or ERR_BUSY; then `done` is not called */
/* Takes a work that still waits out of the queue: true, and `done` follows on a later turn with skipped set. */
bool threads_drop(threads_t *threads, work_t *work);

#endif
