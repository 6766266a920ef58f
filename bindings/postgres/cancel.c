/* cancel.c: asks the server to stop what a connection runs, on a thread, because libpq waits for it. */
#include "postgres/cancel.h"
#include <stdlib.h>
#include "base/aside.h"
#include "base/clock.h"

#define BUSY_MAX 16          /* more are not sent; their connections are given up in the end */
#define LEAVE_NS 2000000000u /* so long the program's end waits for them */

struct postgres_cancel_job {
    list_t node;
    postgres_cancels_t *cancels;
    aside_t *aside;
#ifdef LIBPQ_HAS_ASYNC_CANCEL
    PGcancelConn *key;
#else
    PGcancel *key;
#endif
    void (*done)(void *data);
    void *data;
};

#ifdef LIBPQ_HAS_ASYNC_CANCEL
/* Encrypted as the connection is. */
static void on_thread(void *data) {
    PQcancelBlocking(((postgres_cancel_job_t *)data)->key);
}

static bool take_key(postgres_cancel_job_t *job, PGconn *conn) {
    job->key = PQcancelCreate(conn);
    return job->key != NULL;
}

static void discard(void *data) {
    postgres_cancel_job_t *job = data;
    PQcancelFinish(job->key);
    free(job);
}
#else
static void on_thread(void *data) {
    char why[256];
    PQcancel(((postgres_cancel_job_t *)data)->key, why, sizeof why);
}

static bool take_key(postgres_cancel_job_t *job, PGconn *conn) {
    job->key = PQgetCancel(conn);
    return job->key != NULL;
}

static void discard(void *data) {
    postgres_cancel_job_t *job = data;
    PQfreeCancel(job->key);
    free(job);
}
#endif

static void on_done(void *data) {
    postgres_cancel_job_t *job = data;
    list_remove(&job->node);
    job->cancels->busy--;
    if (job->done) job->done(job->data);
}

void postgres_cancels_create(postgres_cancels_t *cancels, loop_t *loop) {
    *cancels = (postgres_cancels_t){.loop = loop};
    list_init(&cancels->running);
}

/* A cancel that is cut off half-way leaves its statement running; and there are versions of pgbouncer that end, with
   everybody's connections, when the one who asked has gone before the server was told. */
void postgres_cancels_close(postgres_cancels_t *cancels) {
    uint64_t until_ns = clock_mono_ns() + LEAVE_NS;
    for (list_t *node; (node = list_shift(&cancels->running));) {
        aside_t *aside = LIST_OWNER(node, postgres_cancel_job_t, node)->aside;
        aside_wait(aside, until_ns);
        aside_stop(aside);
    }
}

static int start(postgres_cancel_job_t *job) {
    aside_options_t options = {.loop = job->cancels->loop,
        .name = "pg-cancel",
        .run = on_thread,
        .done = on_done,
        .discard = discard,
        .data = job};
    return aside_start(&job->aside, &options);
}

postgres_cancel_job_t *postgres_cancel_send(
    postgres_cancels_t *cancels, PGconn *conn, void (*done)(void *data), void *data) {
    postgres_cancel_job_t *job = cancels->busy < BUSY_MAX ? calloc(1, sizeof *job) : NULL;
    if (!job) return NULL;
    *job = (postgres_cancel_job_t){.cancels = cancels, .done = done, .data = data};
    list_init(&job->node);
    if (!take_key(job, conn)) {
        free(job);
        return NULL;
    }
    if (start(job) != 0) {
        discard(job);
        return NULL;
    }
    list_push(&cancels->running, &job->node);
    cancels->busy++;
    cancels->count++;
    return job;
}

void postgres_cancel_let_go(postgres_cancel_job_t *job) {
    job->done = NULL;
}
