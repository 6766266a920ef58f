/* cache_ops.h: the cache role's few operations on the hottest path, as a table that each engine fills. */
#ifndef PERIGEE_BASE_CACHE_OPS_H
#define PERIGEE_BASE_CACHE_OPS_H
#include "base/bytes.h"

/* What one request needs to know before its script starts. The caller clears the memory, fills the first part and keeps
   it until `done` or gate_cancel. What its spans point to is copied by the starting call. */
typedef struct cache_gate cache_gate_t;
struct cache_gate {
    span_t tenant;        /* its id */
    span_t session;       /* its id; empty: no session is read */
    span_t bucket;        /* the rate limit's, a route template; empty: nothing is taken */
    uint64_t interval_us; /* one request's share of the limit, at least 1 (base/rate.h) */
    uint64_t capacity_us; /* the bucket's, at least one interval */
    bool alone;           /* only the bucket is asked for: no settings, no session */
    uint64_t wait_ms;     /* how long it may take; 0: the engine's own time */
    void (*done)(cache_gate_t *gate); /* once, on the loop, never inside ops->gate */
    void *data;                       /* the caller's */

    /* The results; the spans are valid inside done only. */
    span_t config_text;                    /* config:{tenant}; ptr NULL: absent */
    span_t session_text;                   /* session:{tenant}:{session}; ptr NULL: absent */
    int config_err, session_err, rate_err; /* each part fails for itself; 0 or an error of err.h */
    /* Microseconds by which the bucket is ahead of now: with this request in it when it was let through, else below
       zero and without it. */
    int64_t ahead_us;

    void *state; /* the engine's */
};

/* One name and its text. */
typedef struct cache_field {
    span_t name, text;
} cache_field_t;

/* A cart's hash, read. As for cache_gate_t. */
typedef struct cache_cart_load cache_cart_load_t;
struct cache_cart_load {
    span_t tenant, session;
    uint64_t wait_ms; /* how long it may take; 0: the engine's own time */
    void (*done)(cache_cart_load_t *load);
    void *data;

    int err;
    char detail[120];
    int64_t version;             /* 0: there is none */
    const cache_field_t *fields; /* valid inside done only */
    size_t count;

    void *state;
};

/* A cart's hash, changed in one step if its version still is the expected one. As for cache_gate_t. */
typedef struct cache_cart_save cache_cart_save_t;
struct cache_cart_save {
    span_t tenant, session;
    int64_t version;          /* 0: there must be none */
    const cache_field_t *set; /* fields that get these texts */
    size_t nset;
    const span_t *unset; /* fields that go */
    size_t nunset;
    uint64_t ttl_ms;
    uint64_t wait_ms; /* as for a load */
    void (*done)(cache_cart_save_t *save);
    void *data;

    int err; /* ERR_PRECONDITION_FAILED: another version is there */
    char detail[120];
    int64_t saved_as; /* the new version */

    void *state;
};

/* Every operation ends within its time, with ERR_TIMEOUT if need be. The starting functions return 0, or an error of
   err.h; then done is not called. A cancel lets go at once: done is not called any more and the memory is the caller's
   again; what was sent may still happen. Cancelling what has ended or was never started does nothing. */
typedef struct cache_ops {
    void *engine;
    uint64_t wait_ms; /* the engine's own time: how long an operation may take at most */
    int (*gate)(void *engine, cache_gate_t *gate);
    void (*gate_cancel)(cache_gate_t *gate);
    int (*cart_load)(void *engine, cache_cart_load_t *load);
    void (*cart_load_cancel)(cache_cart_load_t *load);
    int (*cart_save)(void *engine, cache_cart_save_t *save);
    void (*cart_save_cancel)(cache_cart_save_t *save);
} cache_ops_t;

#endif
