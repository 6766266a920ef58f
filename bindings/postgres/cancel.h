/* cancel.h: asks the server to stop what a connection runs, on a thread, because libpq waits for it. */
#ifndef PERIGEE_POSTGRES_CANCEL_H
#define PERIGEE_POSTGRES_CANCEL_H
#include "base/threads.h"
#include "postgres/postgres.h"

/* The threads of a client, from the first cancel on. */
typedef struct postgres_cancels {
    loop_t *loop;
    threads_t *threads;
    uint64_t count; /* sent so far */
} postgres_cancels_t;

typedef struct postgres_cancel_job postgres_cancel_job_t;

/* The connection may go meanwhile. done (may be NULL) comes once, on a later turn, when the server has been told or
   could not be. NULL: too many wait, or no memory; then nothing is sent. */
postgres_cancel_job_t *postgres_cancel_send(
    postgres_cancels_t *cancels, PGconn *conn, void (*done)(void *data), void *data);
/* Nobody waits for done any more; the server is told all the same. */
void postgres_cancel_let_go(postgres_cancel_job_t *job);
/* The answer came by itself: the server is not told, if that has not begun. done still comes. */
void postgres_cancel_drop(postgres_cancels_t *cancels, postgres_cancel_job_t *job);
/* Waits for those that run: a server that stands still holds this up, as libpq cannot be made to leave it. */
void postgres_cancels_close(postgres_cancels_t *cancels);

#endif
