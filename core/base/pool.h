/* pool.h: connections that one caller has for a while: opened, shared fairly among tenants, cleaned, kept. */
#ifndef PERIGEE_BASE_POOL_H
#define PERIGEE_BASE_POOL_H
#include "base/bytes.h"
#include "base/loop.h"

#define LEASE_DETAIL_MAX 200

typedef struct pool pool_t;

/* The state names the list. */
typedef enum {
    POOLED_OPENING,
    POOLED_IDLE,
    POOLED_LEASED,
    POOLED_CLEANING,
    POOLED_STATES
} pooled_state_t;

/* A connection; the engine embeds it in what it has per connection. */
typedef struct pooled {
    pool_t *pool;
    list_t node;
    pooled_state_t state;
    struct lease *lease; /* who has it, or waits until it is open */
    uint64_t idle_since_ms;
    deadline_t limit; /* of the cleaning */
} pooled_t;

/* Whoever wants a connection, and then has it. The caller clears the memory, fills the first part and keeps it from
   lease_begin until lease_end. */
typedef struct lease lease_t;
struct lease {
    span_t tenant; /* shares are per tenant; alive until the end */
    span_t key; /* chooses the server, where there are several; empty: any; alive until the end */
    uint64_t deadline_ms; /* for getting it; loop time; 0: connect_ms from now */
    /* Once, never inside lease_begin; err 0, or ERR_TIMEOUT, ERR_UNAVAILABLE, ERR_CLOSED. */
    void (*got)(lease_t *lease);
    void *data; /* the caller's */
    int err;
    char detail[LEASE_DETAIL_MAX];

    /* The pool's. */
    pool_t *pool; /* NULL: the lease has ended, or the pool has */
    list_t node;
    deadline_t timer;
    deferred_t ready;
    pooled_t *pooled; /* what it has, or waits for until it is open */
};

/* What becomes of a connection that comes back. */
typedef enum { POOLED_KEEP, POOLED_CLEAN, POOLED_CLOSE } pooled_fate_t;

/* What the pool asks of the engine. Only `clean` may call the pool inside. */
typedef struct pool_ops {
    /* The server that a key leads to, as the engine has it; NULL: not known yet (pool_serve once it is). */
    void *(*server)(void *engine, span_t key);
    /* A sentence when it is known to be down, so that it is not dialled for each who wants it; NULL otherwise. */
    const char *(*fault)(const void *server);
    bool (*leads_to)(const pooled_t *pooled, const void *server);
    /* Begins to connect: pooled_up or pooled_down follows on a later turn. NULL: no memory. */
    pooled_t *(*open)(void *engine, void *server);
    /* Closes it, unless it is down, and frees. */
    void (*close)(pooled_t *pooled);
    /* `clean`: its holder says that nothing is open on it. */
    pooled_fate_t (*fate)(const pooled_t *pooled, bool clean);
    /* Makes it fit for the next one, within clean_ms: pooled_cleaned or pooled_drop follows. NULL if its fate is never
       POOLED_CLEAN. */
    void (*clean)(pooled_t *pooled);
} pool_ops_t;

typedef struct pool_options {
    loop_t *loop;
    const pool_ops_t *ops; /* static */
    void *engine;
    int most, idle,
        least;      /* connections in all, those kept idle after use, those kept open in any case */
    size_t waiting; /* leases that may wait */
    uint64_t connect_ms, clean_ms;
} pool_options_t;

/* NULL: no memory. */
pool_t *pool_new(const pool_options_t *options);
/* Closes all and frees. Leases outlive it: one that still hopes for its `got` gets it with ERR_CLOSED on a later turn;
   lease_end stays allowed. */
void pool_delete(pool_t *pool);
void *pool_engine(const pool_t *pool);
/* The engine tells: a server is free, known, up or down that was not. Calls nobody: `got` follows on a later turn. */
void pool_serve(pool_t *pool);

/* The engine tells of one connection: it is open; it is lost, which frees it unless it is leased (then its holder
   learns of it by what it sends); it is clean; it cannot be cleaned. Each may call `got`, but for other leases. */
void pooled_up(pooled_t *pooled);
void pooled_down(pooled_t *pooled, const char *detail);
void pooled_cleaned(pooled_t *pooled);
void pooled_drop(pooled_t *pooled);

typedef struct pool_counts {
    int of[POOLED_STATES]; /* connections, by state */
    size_t waiting;        /* leases */
} pool_counts_t;
pool_counts_t pool_counts(const pool_t *pool);

/* 0, or ERR_BUSY (too many wait already), ERR_NO_MEMORY; then `got` is not called. */
int lease_begin(pool_t *pool, lease_t *lease);
/* Gives it back, whatever has become of it, also before `got` (which then does not come), also when the pool has gone
   before. Unless clean, and nothing is open on it, the next one does not have it as it is. */
void lease_end(lease_t *lease, bool clean);
/* The connection it has; NULL: not yet, or not any more. */
pooled_t *lease_pooled(const lease_t *lease);

#endif
