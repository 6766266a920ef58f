/* job.h: what a connection is asked to do, and what came of it; plain memory that crosses threads. */
#ifndef PERIGEE_SQLITE_JOB_H
#define PERIGEE_SQLITE_JOB_H
#include <stdatomic.h>
#include "base/bytes.h"
#include "base/err.h"
#include "sqlite/rows.h"

typedef struct statement {
    span_t sql; /* one statement */
    const cell_t *params;
    size_t count;
    int64_t
        expect; /* the number of rows returned or changed that is required, or -1; else ERR_PRECONDITION_FAILED */
    bool
        may_conflict; /* a broken constraint is this statement's own result and does not fail the job */
} statement_t;

typedef struct result {
    int err;          /* 0, or ERR_CONFLICT of a statement that may conflict */
    char detail[120]; /* then: "products.tenant, products.sku" */
    int64_t changes;  /* rows inserted, updated or deleted, not those of triggers */
    uint32_t columns; /* 0 when the statement returns none */
    size_t rows;
    size_t at; /* in the job's cells: first the columns' names, then the rows */
} result_t;

/* The submitter fills the first part, keeps everything alive until the job is done, and then reads the second. */
typedef struct job {
    const statement_t *statements;
    result_t *results; /* one per statement */
    size_t count;
    size_t max_bytes;     /* most bytes of all rows; beyond it ERR_TOO_LARGE */
    uint64_t deadline_ns; /* clock_mono_ns; 0 for none */

    buf_t cells;
    atomic_bool cancelled;
    int err;
    char detail[120];
} job_t;

/* Empties what a run leaves, before the next run. */
void job_clear(job_t *job);
/* Sets the error, unless there is one; the detail is cut to size. */
void job_fail(job_t *job, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* ERR_CANCELLED, ERR_TIMEOUT, or 0 while the job is still wanted. From any thread. */
int job_stop(const job_t *job);

#endif
