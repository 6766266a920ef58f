/* connection.h: one connection of one thread to a database file: opened on first use, and again after damage. */
#ifndef PERIGEE_SQLITE_CONNECTION_H
#define PERIGEE_SQLITE_CONNECTION_H
#include "sqlite/job.h"

typedef struct connection connection_t;
typedef struct connection_options {
    const char *path; /* kept by the caller */
    bool writer;      /* else every statement must only read */
    bool durable;     /* a commit is on the disk when it answers (synchronous FULL, else NORMAL) */
    uint64_t busy_ms; /* longest wait for another process's write; 0 for the job's deadline alone */
} connection_options_t;

/* Opens nothing yet. NULL when out of memory. Everything below is for the one thread that uses it. */
connection_t *connection_new(const connection_options_t *options);
void connection_delete(connection_t *connection);

/* Each of these fails the job when it does not succeed; the job's deadline and cancel stop it, also while it waits for
   another process's write. */

/* Runs the job's statements one by one outside of a transaction; they must only read. */
void connection_read(connection_t *connection, job_t *job);
/* BEGIN IMMEDIATE, tried again until the job's deadline while another writer is at work. */
void connection_begin(connection_t *connection, job_t *job);
/* Runs the job's statements inside the transaction. With `nested` its changes alone are undone when it fails. */
void connection_apply(connection_t *connection, job_t *job, bool nested);
/* Not stopped by the job's deadline: what has come so far is kept. */
void connection_commit(connection_t *connection, job_t *job);
/* Undoes the transaction, if there is one. */
void connection_rollback(connection_t *connection);
/* Whether a failure (full disk, interruption) has already undone the whole transaction. */
bool connection_lost(const connection_t *connection);

#endif
