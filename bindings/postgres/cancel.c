/* cancel.c: asks the server to stop what a connection runs, on a thread, because libpq waits for it. */
#include "postgres/cancel.h"
#include <stdlib.h>

#define THREADS 2
#define BOUND 64 /* more are not sent; their connections are given up in the end */

struct postgres_cancel_job {
    work_t work;
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
static void on_thread(work_t *work, void *thread_data) {
    (void)thread_data;
    PQcancelBlocking(LIST_OWNER(work, postgres_cancel_job_t, work)->key);
}

static bool take_key(postgres_cancel_job_t *job, PGconn *conn) {
    job->key = PQcancelCreate(conn);
    return job->key != NULL;
}

static void free_job(postgres_cancel_job_t *job) {
    PQcancelFinish(job->key);
    free(job);
}
#else
static void on_thread(work_t *work, void *thread_data) {
    char why[256];
    (void)thread_data;
    PQcancel(LIST_OWNER(work, postgres_cancel_job_t, work)->key, why, sizeof why);
}

static bool take_key(postgres_cancel_job_t *job, PGconn *conn) {
    job->key = PQgetCancel(conn);
    return job->key != NULL;
}

static void free_job(postgres_cancel_job_t *job) {
    PQfreeCancel(job->key);
    free(job);
}
#endif

static void on_done(work_t *work) {
    postgres_cancel_job_t *job = LIST_OWNER(work, postgres_cancel_job_t, work);
    if (job->done) job->done(job->data);
    free_job(job);
}

static bool open_threads(postgres_cancels_t *cancels) {
    if (cancels->threads) return true;
    threads_options_t options = {
        .loop = cancels->loop, .count = THREADS, .bound = BOUND, .name = "pg-cancel"};
    cancels->threads = threads_new(&options);
    return cancels->threads != NULL;
}

postgres_cancel_job_t *postgres_cancel_send(
    postgres_cancels_t *cancels, PGconn *conn, void (*done)(void *data), void *data) {
    postgres_cancel_job_t *job = open_threads(cancels) ? calloc(1, sizeof *job) : NULL;
    if (!job) return NULL;
    if (!take_key(job, conn)) {
        free(job);
        return NULL;
    }
    job->done = done;
    job->data = data;
    job->work.run = on_thread;
    job->work.done = on_done;
    if (threads_submit(cancels->threads, &job->work) == 0) {
        cancels->count++;
        return job;
    }
    free_job(job);
    return NULL;
}

void postgres_cancel_let_go(postgres_cancel_job_t *job) {
    job->done = NULL;
}

void postgres_cancel_drop(postgres_cancels_t *cancels, postgres_cancel_job_t *job) {
    threads_drop(cancels->threads, &job->work);
}

void postgres_cancels_close(postgres_cancels_t *cancels) {
    if (cancels->threads) threads_delete(cancels->threads);
    cancels->threads = NULL;
}
