/* cancel.h: asks the server to stop what a connection runs, on a thread, because libpq waits for it. */
#ifndef PERIGEE_POSTGRES_CANCEL_H
#define PERIGEE_POSTGRES_CANCEL_H
#include "base/loop.h"
#include "postgres/postgres.h"

typedef struct postgres_cancels {
    loop_t *loop;
    list_t running;
    int busy;       /* of these */
    uint64_t count; /* sent so far */
} postgres_cancels_t;

typedef struct postgres_cancel_job postgres_cancel_job_t;

void postgres_cancels_create(postgres_cancels_t *cancels, loop_t *loop);
/* At the loop's end: blocks until those on their way have been sent, two seconds at most. A server that stands still
   keeps a thread until it moves. */
void postgres_cancels_close(postgres_cancels_t *cancels);
/* The connection may go meanwhile. done (may be NULL) comes once, on a later turn, when the server has been told or
   could not be. NULL: too many are under way, or no memory; then nothing is sent. */
postgres_cancel_job_t *postgres_cancel_send(
    postgres_cancels_t *cancels, PGconn *conn, void (*done)(void *data), void *data);
/* Nobody waits for done any more; the server is told all the same. */
void postgres_cancel_let_go(postgres_cancel_job_t *job);

#endif
