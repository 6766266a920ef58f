/* db.h: one database file on a loop: a writer thread, reader threads, bounded queues, and transactions that share
   commits. */
#ifndef PERIGEE_SQLITE_DB_H
#define PERIGEE_SQLITE_DB_H
#include "base/threads.h"
#include "sqlite/job.h"

typedef struct db db_t;
typedef struct db_options {
    loop_t *loop;
    const char *path; /* copied */
    const char *name; /* for the threads' names, at most 12 bytes; copied */
    int readers;      /* threads that read, 1..16 */
    size_t
        bound; /* most operations waiting for the writer, and for the readers; beyond it ERR_BUSY */
    bool durable;     /* see connection.h */
    uint64_t busy_ms; /* see connection.h */
} db_options_t;

typedef enum {
    DB_READ,  /* on a reader; statements must only read */
    DB_WRITE, /* one transaction on the writer; all statements or none */
    DB_PEEK   /* reads on the writer's connection, for what only that one knows (data_version) */
} db_kind_t;

/* One operation. The submitter owns the memory, clears it, fills kind, job's first part and done, and keeps it until
   done is called: exactly once, on the loop, never inside db_submit. The result is in job; job.cells belongs to the
   submitter too. */
typedef struct db_op db_op_t;
struct db_op {
    db_kind_t kind;
    job_t job;
    void (*done)(db_op_t *op);

    work_t work; /* from here on the driver's */
    db_t *db;
    list_t node;
    int state;
};

/* Starts the threads; the file is opened on first use, so that an unreadable one fails operations, not the start.
   NULL when out of memory or threads. */
db_t *db_new(const db_options_t *options);
/* Waits for the operations that run, ends those that wait with ERR_CLOSED, closes the file. */
void db_delete(db_t *db);
/* 0, or ERR_BUSY, ERR_CLOSED; then done is not called. */
int db_submit(db_t *db, db_op_t *op);
/* Lets go: a waiting operation is dropped, a running one stopped, and done follows (with ERR_CANCELLED unless it was
   too late). */
void db_cancel(db_op_t *op);

#endif
