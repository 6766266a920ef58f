/* postgres.h: queries, connections of one's own, rows as they come, COPY and notifications on a PostgreSQL server. */
#ifndef PERIGEE_POSTGRES_POSTGRES_H
#define PERIGEE_POSTGRES_POSTGRES_H
#include <libpq-fe.h>
#include "base/bytes.h"
#include "base/loop.h"
#include "base/pool.h"

#define POSTGRES_DETAIL_MAX 200
#define POSTGRES_NAME_MAX 64         /* a name of the server's */
#define POSTGRES_STATEMENTS_MAX 1000 /* in one query */

/* One database on one loop, and perhaps a replica of it. Closes with the loop: what still waits ends with
   ERR_CLOSED. */
typedef struct postgres postgres_t;

/* The URLs are libpq's: postgres://user:password@host:port,host:port/database?sslmode=verify-full&…, with all of
   libpq's parameters, and one of the driver's: prepare=off (for pgbouncer in transaction mode: nothing is prepared).
   With several hosts the default of target_session_attrs is read-write, so that the primary is found wherever it is. */
typedef struct postgres_options {
    const char *url;                   /* copied, as the others are */
    const char *read_url;              /* where queries with `replica` go, or NULL */
    const char *listen_url;            /* for notifications, past a pooler; NULL: url */
    int shared;                        /* pipelined connections; 0: 2 */
    int pool_max, pool_idle, pool_min; /* connections of one's own; 0: 8, 4, none */
    uint64_t connect_ms;               /* for one round through the hosts; 0: 2000 */
    uint64_t query_ms;                 /* for a query without a deadline; 0: 5000 */
    size_t bound;                      /* most queries on their way or waiting; 0: 10000 */
    size_t result_max;                 /* bytes that a query's `results` may take; 0: 16 MiB */
} postgres_options_t;

/* NULL with a sentence in why: a bad URL (never with its password), no memory. Connects in the background and for ever;
   nothing waits for the server here. */
postgres_t *postgres_new(loop_t *loop, const postgres_options_t *options, char *why, size_t size);
/* Whether a shared connection to the database is open. */
bool postgres_up(const postgres_t *postgres);

typedef struct postgres_param {
    const char *value; /* NULL: NULL. Text ends with a NUL, and length is not looked at */
    int length;        /* of a binary value */
    int format;        /* 0: text, 1: binary */
    Oid type;          /* 0: the server infers it */
} postgres_param_t;

typedef struct postgres_statement {
    const char *sql; /* one statement, with $1, $2, … */
    const postgres_param_t *params;
    int count;
    bool binary; /* the answer's columns in binary form; otherwise as text */
} postgres_statement_t;

/* One or more statements that travel together and share one fate: a pipeline segment, one implicit transaction, one
   sync. The first that fails undoes them all. With `tenant` the segment begins with
   select set_config('perigee.tenant', $1, true), which row-level security reads; it holds until the transaction's end,
   so it works on shared connections and through pgbouncer.
   The submitter clears the memory, fills the first part and keeps all of it until `done`, which comes exactly once, on
   the loop, never inside the call that submitted it. Inside `done` the memory is the submitter's; the results go when
   `done` returns. */
typedef struct postgres_query postgres_query_t;
struct postgres_query {
    const postgres_statement_t *statements; /* with texts and parameters alive until done */
    int count;
    span_t tenant;   /* empty: no fence, for what belongs to no tenant */
    bool repeatable; /* may run twice: is sent again after a lost connection */
    bool replica;    /* may be answered by the replica, while there is one; only reads */
    bool
        slow; /* runs on a connection of its own, within the tenant's share, so that nothing waits behind it */
    /* With `replica`: an LSN that the replica must have replayed, else the primary answers (read your writes). It is
       asked in the query's own segment, at no further round trip. The number is what POSTGRES_LSN_SQL returned after
       the write's commit: pg_current_wal_insert_lsn() - '0/0' as bigint. 0: any state will do. */
    uint64_t min_lsn;
    uint64_t deadline_ms; /* loop time; 0: query_ms from now */
    /* On a lease: the rows of the last statement in pieces of at least one row, as they come, instead of in `results`.
       `rows` is valid inside. See postgres_lease_pause for back-pressure. */
    void (*chunk)(postgres_query_t *query, const PGresult *rows);
    void (*done)(postgres_query_t *query);
    void *data; /* the submitter's */

    /* The result: one PGresult per statement (with `chunk` the last has no rows), valid inside done. NULL and 0 on a
       failure. err: 0; ERR_CONFLICT for a unique or exclusion constraint (23505, 23P01), a serialization failure
       (40001) and a deadlock (40P01), after which a transaction may be tried again; ERR_INVALID for other faults of
       the statement or its data (22, 23, 42 and their like); ERR_DENIED for 42501; ERR_UNAVAILABLE: not run, because
       the server cannot (53, 57P, 58, 08) or cannot be reached; ERR_TIMEOUT: its deadline, or the server's own
       statement timeout; ERR_TOO_LARGE: result_max, and the server is asked to stop: it may have happened or not;
       ERR_CLOSED: sent, and the connection went: it may have happened or not; ERR_CANCELLED. */
    PGresult *const *results;
    int nresults;
    int err;
    char detail[POSTGRES_DETAIL_MAX]; /* the server's sentence, or the driver's */
    char sqlstate[6];                 /* empty: not the server's error */
    /* What it hit; empty: the server did not say. */
    char constraint[POSTGRES_NAME_MAX], table[POSTGRES_NAME_MAX], column[POSTGRES_NAME_MAX];
    int failed; /* index of the statement that failed; -1: none of them */
    /* ERR_TIMEOUT only: whether it may still happen. False: it never reached the server. */
    bool sent;

    /* The driver's. */
    postgres_t *postgres;
    list_t node;
    deadline_t timer;
    deferred_t ended;
    struct postgres_link *link; /* the connection it was sent on and has no answer from */
    uint64_t place;             /* there */
    uint64_t until_ms;          /* deadline_ms, or what stands for 0 */
    /* The floor that takes the result; NULL once it has ended. */
    void (*settle)(postgres_query_t *query);
    PGresult **slots;               /* results, to take from */
    int verdict;                    /* of the connection: whether to try again, and how */
    int hops;                       /* how often it was sent again */
    bool to_primary;                /* the replica could not answer */
    bool stray;                     /* a cancel meant for another hit it */
    struct postgres_errand *errand; /* of a slow one: its lease */
};

/* The LSN after a commit, for min_lsn: run by whoever wants to read its own write, after the commit. */
#define POSTGRES_LSN_SQL "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"

/* 0, or ERR_BUSY (bound), ERR_CLOSED (the loop is ending), ERR_NO_MEMORY, ERR_INVALID (with detail: no statements, or
   one that needs a connection of one's own: BEGIN, SET, COPY, LISTEN and their like); then `done` is not called. The
   queries that one turn of the loop submits are sent on one connection, in their order, in one write; with prepare=off
   each goes to whichever connection is free. */
int postgres_submit(postgres_t *postgres, postgres_query_t *query);
/* Inside `done`: takes a result out, which is then the caller's to PQclear and outlives the query. */
static inline PGresult *postgres_take(postgres_query_t *query, int index) {
    PGresult *result = query->slots[index];
    query->slots[index] = NULL;
    return result;
}
/* `done` follows on a later turn with ERR_CANCELLED. What has been sent may still happen; on a connection of one's own
   the server is asked to stop it. No effect on a query that has ended or was never submitted (but its memory must have
   been cleared). */
void postgres_cancel(postgres_query_t *query);
/* Moves the deadline of a query under way, for rows that come for as long as somebody takes them. */
void postgres_extend(postgres_query_t *query, uint64_t deadline_ms);

/* How far the replica is behind; measured each second. */
typedef struct postgres_lag {
    bool known;     /* both servers have answered lately */
    uint64_t bytes; /* written by the primary and not replayed */
    uint64_t ms;    /* age of the last transaction that was replayed, 0 when bytes is 0 */
} postgres_lag_t;
postgres_lag_t postgres_lag(const postgres_t *postgres);

/* For metrics. */
typedef struct postgres_counts {
    size_t queries;                      /* on their way or waiting, those of leases included */
    int leased, idle, opening, cleaning; /* connections of one's own, by state */
    size_t waiting;                      /* leases that wait for one */
    uint64_t cancels;                    /* sent to the server so far */
    uint64_t connects, losses;           /* of all connections so far */
} postgres_counts_t;
postgres_counts_t postgres_counts(const postgres_t *postgres);

/* A connection of one's own: for transactions, rows as they come, COPY: base/pool.h, with lease_end to give it back.
   0, or ERR_BUSY (too many wait already), ERR_CLOSED, ERR_NO_MEMORY. */
int postgres_lease(postgres_t *postgres, lease_t *lease);
/* As postgres_submit, in order on the leased connection, BEGIN, SAVEPOINT, SET LOCAL, COMMIT and their like included
   (but neither COPY nor LISTEN). `tenant` puts the fence up for the transaction that is open or begun by the query's
   first statement (BEGIN stays first, the fence comes second), so only the first query of a transaction needs it.
   ERR_CLOSED: the connection has gone, or a query on it was cancelled or ran out of time: end the lease. Never sent
   twice. A COMMIT that ends with ERR_CLOSED or ERR_TIMEOUT may have happened or not. Queries and a COPY under way at
   lease_end end with ERR_CLOSED on a later turn, and the server is asked to stop them; unless clean and idle, the
   connection is rolled back and reset before the next one has it, or closed. */
int postgres_lease_submit(lease_t *lease, postgres_query_t *query);
/* PQTRANS_IDLE, PQTRANS_INTRANS, PQTRANS_INERROR, PQTRANS_ACTIVE (answers are outstanding) or PQTRANS_UNKNOWN
   (gone). */
PGTransactionStatusType postgres_lease_state(const lease_t *lease);
/* Stops reading from the connection, and calls no more `chunk` or `data` from the next one on; the server stops soon
   after. Resuming goes on on a later turn. Deadlines go on meanwhile. */
void postgres_lease_pause(lease_t *lease, bool paused);
/* COPY on a lease that has nothing else under way. The fence, if any, is put up in the transaction before. The caller
   clears the memory, fills the first part and keeps it until done. */
typedef struct postgres_copy postgres_copy_t;
struct postgres_copy {
    const char *sql;      /* COPY … FROM STDIN or COPY … TO STDOUT */
    uint64_t deadline_ms; /* for the whole; loop time; 0: query_ms from now */
    /* FROM STDIN: the server takes data now: once at first, then after each postgres_copy_write that returned false.
       NULL: ERR_INVALID for such a one; so it is with `data` and the other way. */
    void (*ready)(postgres_copy_t *copy);
    /* TO STDOUT: one row's bytes, valid inside. */
    void (*data)(postgres_copy_t *copy, span_t bytes);
    void (*done)(postgres_copy_t *copy); /* exactly once, never inside a call of the caller's */
    void *user;                          /* the caller's */

    uint64_t rows; /* copied */
    int err;       /* as a query's */
    char detail[POSTGRES_DETAIL_MAX], sqlstate[6];
    char constraint[POSTGRES_NAME_MAX], table[POSTGRES_NAME_MAX], column[POSTGRES_NAME_MAX];

    /* The driver's. */
    postgres_t *postgres;
    struct postgres_link *link; /* NULL once it has ended */
    struct postgres_holding *holding;
    deadline_t timer;
    deferred_t ended;
    int state;
};

/* 0, or ERR_CLOSED, ERR_BUSY (something is under way on the lease), ERR_NO_MEMORY; then `done` is not called. */
int postgres_copy(lease_t *lease, postgres_copy_t *copy);
/* Copies the bytes (whole rows or parts of one). True: go on; false: wait for `ready`, or `done` when it has failed. */
bool postgres_copy_write(postgres_copy_t *copy, span_t bytes);
/* All is written; or with a fault: nothing of it is to be kept. `done` follows. */
void postgres_copy_end(postgres_copy_t *copy, const char *fault);

/* Notifications of a channel, on one direct connection for all of them. The caller clears the memory, fills the first
   part and keeps it until postgres_unsubscribe; the callbacks come on the loop, never inside postgres_subscribe, and
   may unsubscribe. */
typedef struct postgres_subscription postgres_subscription_t;
struct postgres_subscription {
    span_t channel; /* UTF-8, at most 63 bytes; alive until unsubscribed */
    void (*notified)(postgres_subscription_t *subscription, span_t payload);
    /* Notifications may have been missed: when it becomes live (the first time too) and when it is lost. `live` says
       which. */
    void (*missed)(postgres_subscription_t *subscription);
    void *data; /* the caller's */
    bool live;

    /* The driver's. */
    postgres_t *postgres;
    list_t node;
};

int postgres_subscribe(postgres_t *postgres,
    postgres_subscription_t *subscription); /* 0 or ERR_NO_MEMORY, ERR_INVALID, ERR_CLOSED */
void postgres_unsubscribe(postgres_subscription_t *subscription);

#endif
