/* pool.c: connections that one caller has for a while; each is in exactly one list, and `place` alone moves it. */
#include "base/pool.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/shares.h"

#define TEND_MS 5000
#define IDLE_MS 60000 /* then a connection beyond the least is closed */

struct pool {
    pool_options_t options;
    list_t lists[POOLED_STATES];
    int counts[POOLED_STATES];
    shares_t shares;
    list_t turned; /* leases turned away whose `got` is on its way */
    deadline_t tend;
};

static const pool_ops_t *ops_of(const pool_t *pool) {
    return pool->options.ops;
}

static void place(pooled_t *pooled, pooled_state_t state) {
    pool_t *pool = pooled->pool;
    if (pooled->state != POOLED_STATES) pool->counts[pooled->state]--;
    list_remove(&pooled->node);
    pooled->state = state;
    if (state == POOLED_STATES) return;
    pool->counts[state]++;
    list_push(&pool->lists[state], &pooled->node);
}

static int total(const pool_t *pool) {
    int sum = 0;
    for (int i = 0; i < POOLED_STATES; i++)
        sum += pool->counts[i];
    return sum;
}

static bool has_room(const pool_t *pool) {
    return pool->counts[POOLED_IDLE] < pool->options.idle || pool->shares.waiting;
}

static void dismiss(pooled_t *pooled) {
    deadline_clear(&pooled->limit);
    place(pooled, POOLED_STATES);
    ops_of(pooled->pool)->close(pooled);
}

static void on_limit(deadline_t *deadline) {
    pooled_drop(LIST_OWNER(deadline, pooled_t, limit));
}

/* NULL: no memory. */
static pooled_t *open_one(pool_t *pool, void *server) {
    pooled_t *pooled = ops_of(pool)->open(pool->options.engine, server);
    if (!pooled) return NULL;
    *pooled = (pooled_t){.pool = pool, .state = POOLED_STATES};
    list_init(&pooled->node);
    deadline_init(&pooled->limit, on_limit);
    place(pooled, POOLED_OPENING);
    return pooled;
}

/* One that nobody wants: the one that was used last, so that the others may grow old. */
static pooled_t *newest(const pool_t *pool, pooled_state_t state, const void *server) {
    const list_t *list = &pool->lists[state];
    for (list_t *node = list->prev; node != list; node = node->prev) {
        pooled_t *pooled = LIST_OWNER(node, pooled_t, node);
        if (!pooled->lease && ops_of(pool)->leads_to(pooled, server)) return pooled;
    }
    return NULL;
}

/* NULL when all are in use. An idle connection to another server makes room. */
static pooled_t *find(pool_t *pool, void *server) {
    pooled_t *pooled = newest(pool, POOLED_IDLE, server);
    if (!pooled) pooled = newest(pool, POOLED_OPENING, server);
    if (pooled) return pooled;
    list_t *idle = &pool->lists[POOLED_IDLE];
    bool full = total(pool) >= pool->options.most;
    if (full && list_empty(idle)) return NULL;
    if (full) dismiss(LIST_OWNER(idle->next, pooled_t, node));
    return open_one(pool, server);
}

/* The connection it waited for is open, or it was turned away. */
static void on_ready(deferred_t *deferred) {
    lease_t *lease = LIST_OWNER(deferred, lease_t, ready);
    deadline_clear(&lease->timer);
    list_remove(&lease->node);
    if (lease->err) lease->pool = NULL;
    lease->got(lease);
}

/* The lease ends without a connection; its `got` comes now. */
static void disappoint(lease_t *lease, int err, const char *detail) {
    deadline_clear(&lease->timer);
    lease->pooled = NULL;
    lease->pool = NULL;
    lease->err = err;
    snprintf(lease->detail, sizeof lease->detail, "%s", detail);
    lease->got(lease);
}

static void attach(pooled_t *pooled, lease_t *lease) {
    pool_t *pool = pooled->pool;
    shares_leave(&pool->shares, lease->tenant, &lease->node, true);
    pooled->lease = lease;
    lease->pooled = pooled;
    if (pooled->state != POOLED_IDLE) return;
    place(pooled, POOLED_LEASED);
    loop_defer(pool->options.loop, &lease->ready);
}

static void turn_away(pool_t *pool, lease_t *lease, const char *fault) {
    shares_leave(&pool->shares, lease->tenant, &lease->node, false);
    lease->err = ERR_UNAVAILABLE;
    snprintf(lease->detail, sizeof lease->detail, "%s", fault);
    deadline_clear(&lease->timer);
    list_push(&pool->turned, &lease->node);
    loop_defer(pool->options.loop, &lease->ready);
}

void pool_serve(pool_t *pool) {
    for (list_t *next; (next = shares_next(&pool->shares));) {
        lease_t *lease = LIST_OWNER(next, lease_t, node);
        void *server = ops_of(pool)->server(pool->options.engine, lease->key);
        const char *fault = server ? ops_of(pool)->fault(server) : NULL;
        pooled_t *pooled = server && !fault ? find(pool, server) : NULL;
        if (fault)
            turn_away(pool, lease, fault);
        else if (pooled)
            attach(pooled, lease);
        else
            return;
    }
}

static void to_idle(pooled_t *pooled) {
    deadline_clear(&pooled->limit);
    pooled->lease = NULL;
    pooled->idle_since_ms = loop_now(pooled->pool->options.loop);
    place(pooled, POOLED_IDLE);
}

void pooled_up(pooled_t *pooled) {
    lease_t *lease = pooled->lease;
    if (!lease) {
        to_idle(pooled);
        pool_serve(pooled->pool);
        return;
    }
    place(pooled, POOLED_LEASED);
    deadline_clear(&lease->timer);
    lease->got(lease);
}

void pooled_down(pooled_t *pooled, const char *detail) {
    pool_t *pool = pooled->pool;
    lease_t *lease = pooled->lease;
    if (pooled->state == POOLED_LEASED) return;
    dismiss(pooled);
    if (lease) {
        shares_return(&pool->shares, lease->tenant);
        disappoint(lease, ERR_UNAVAILABLE, detail);
    }
    pool_serve(pool); /* who waited for this one's place, or for its opening */
}

void pooled_cleaned(pooled_t *pooled) {
    pool_t *pool = pooled->pool;
    if (has_room(pool))
        to_idle(pooled);
    else
        dismiss(pooled);
    pool_serve(pool);
}

void pooled_drop(pooled_t *pooled) {
    pool_t *pool = pooled->pool;
    dismiss(pooled);
    pool_serve(pool);
}

static void fill(pool_t *pool) {
    void *server = ops_of(pool)->server(pool->options.engine, (span_t){"", 0});
    if (!server || ops_of(pool)->fault(server)) return;
    while (total(pool) < pool->options.least)
        if (!open_one(pool, server)) return;
}

/* Closes what has been idle for long, keeps the least open. */
static void on_tend(deadline_t *deadline) {
    pool_t *pool = LIST_OWNER(deadline, pool_t, tend);
    uint64_t now = loop_now(pool->options.loop);
    list_t *idle = &pool->lists[POOLED_IDLE];
    while (!list_empty(idle) && total(pool) > pool->options.least) {
        pooled_t *oldest = LIST_OWNER(idle->next, pooled_t, node);
        if (now - oldest->idle_since_ms < IDLE_MS) break;
        dismiss(oldest);
    }
    fill(pool);
    deadline_set(pool->options.loop, &pool->tend, now + TEND_MS);
}

pool_t *pool_new(const pool_options_t *options) {
    pool_t *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pool->options = *options;
    for (int i = 0; i < POOLED_STATES; i++)
        list_init(&pool->lists[i]);
    list_init(&pool->turned);
    /* No tenant may have them all, else what it does for long on them would shut out the others. */
    shares_create(&pool->shares, (options->most + 1) / 2);
    deadline_init(&pool->tend, on_tend);
    deadline_set(options->loop, &pool->tend, loop_now(options->loop));
    return pool;
}

void *pool_engine(const pool_t *pool) {
    return pool->options.engine;
}

pool_counts_t pool_counts(const pool_t *pool) {
    pool_counts_t counts = {.waiting = pool->shares.waiting};
    for (int i = 0; i < POOLED_STATES; i++)
        counts.of[i] = pool->counts[i];
    return counts;
}

/* Only once it waits for its turn or for a connection; what it holds has no deadline. */
static void on_deadline(deadline_t *deadline) {
    lease_t *lease = LIST_OWNER(deadline, lease_t, timer);
    pool_t *pool = lease->pool;
    pooled_t *pooled = lease->pooled;
    if (pooled && pooled->state == POOLED_LEASED) return; /* `got` is on its way */
    if (pooled) {
        pooled->lease = NULL;
        shares_return(&pool->shares, lease->tenant);
    } else {
        shares_leave(&pool->shares, lease->tenant, &lease->node, false);
    }
    disappoint(lease, ERR_TIMEOUT, "no connection was free in time");
}

int lease_begin(pool_t *pool, lease_t *lease) {
    const pool_options_t *options = &pool->options;
    if (pool->shares.waiting >= options->waiting) return ERR_BUSY;
    lease->pool = pool;
    lease->pooled = NULL;
    lease->err = 0;
    lease->detail[0] = '\0';
    list_init(&lease->node);
    deferred_init(&lease->ready, on_ready);
    deadline_init(&lease->timer, on_deadline);
    int err = shares_wait(&pool->shares, lease->tenant, &lease->node);
    if (err) return err;
    uint64_t soon = loop_now(options->loop) + options->connect_ms;
    deadline_set(options->loop, &lease->timer, lease->deadline_ms ? lease->deadline_ms : soon);
    pool_serve(pool);
    return 0;
}

pooled_t *lease_pooled(const lease_t *lease) {
    pooled_t *pooled = lease->pool ? lease->pooled : NULL;
    return pooled && pooled->state == POOLED_LEASED ? pooled : NULL;
}

static void begin_cleaning(pooled_t *pooled) {
    const pool_options_t *options = &pooled->pool->options;
    place(pooled, POOLED_CLEANING);
    deadline_set(options->loop, &pooled->limit, loop_now(options->loop) + options->clean_ms);
    options->ops->clean(pooled);
}

static void take_back(pooled_t *pooled, bool clean) {
    pool_t *pool = pooled->pool;
    pooled->lease = NULL;
    if (pooled->state == POOLED_OPENING) return; /* for the next one */
    pooled_fate_t fate = has_room(pool) ? ops_of(pool)->fate(pooled, clean) : POOLED_CLOSE;
    if (fate == POOLED_KEEP)
        to_idle(pooled);
    else if (fate == POOLED_CLEAN)
        begin_cleaning(pooled);
    else
        dismiss(pooled);
}

void lease_end(lease_t *lease, bool clean) {
    pool_t *pool = lease->pool;
    if (lease->err == ERR_CLOSED) deferred_clear(&lease->ready); /* the pool has gone before */
    if (!pool) return;
    lease->pool = NULL;
    deadline_clear(&lease->timer);
    deferred_clear(&lease->ready);
    if (lease->pooled) {
        shares_return(&pool->shares, lease->tenant);
        take_back(lease->pooled, clean);
    } else if (lease->err) {
        list_remove(&lease->node);
    } else if (!list_empty(&lease->node)) {
        shares_leave(&pool->shares, lease->tenant, &lease->node, false);
    }
    lease->pooled = NULL;
    pool_serve(pool);
}

/* The end: leases outlive the pool, as their holders end them later, or never. */

static void part(lease_t *lease) {
    deadline_clear(&lease->timer);
    deferred_clear(&lease->ready);
    list_remove(&lease->node);
    lease->pool = NULL;
    lease->pooled = NULL;
}

static void on_closed(deferred_t *deferred) {
    lease_t *lease = LIST_OWNER(deferred, lease_t, ready);
    lease->got(lease);
}

/* One that still hopes for its `got` gets it. */
static void close_lease(pool_t *pool, lease_t *lease, bool had_it) {
    part(lease);
    lease->err = ERR_CLOSED;
    deferred_init(&lease->ready, on_closed);
    if (!had_it) loop_defer(pool->options.loop, &lease->ready);
}

static void close_list(pool_t *pool, list_t *list) {
    while (!list_empty(list)) {
        pooled_t *pooled = LIST_OWNER(list->next, pooled_t, node);
        lease_t *lease = pooled->lease;
        bool had_it = lease && pooled->state == POOLED_LEASED && list_empty(&lease->ready.node);
        if (lease) close_lease(pool, lease, had_it);
        dismiss(pooled);
    }
}

void pool_delete(pool_t *pool) {
    deadline_clear(&pool->tend);
    pool->shares.most = pool->options.most + 1; /* so that all that wait are found */
    for (list_t *next; (next = shares_next(&pool->shares));) {
        lease_t *lease = LIST_OWNER(next, lease_t, node);
        shares_leave(&pool->shares, lease->tenant, &lease->node, false);
        close_lease(pool, lease, false);
    }
    while (!list_empty(&pool->turned))
        close_lease(pool, LIST_OWNER(pool->turned.next, lease_t, node), false);
    for (int i = 0; i < POOLED_STATES; i++)
        close_list(pool, &pool->lists[i]);
    shares_destroy(&pool->shares);
    free(pool);
}
