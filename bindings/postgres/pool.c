/* pool.c: connections that one caller owns for a while; each is in exactly one list, and `place` alone moves it. */
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/shares.h"
#include "postgres/client.h"
#include "postgres/verb.h"

#define WAITING_PER_CONNECTION 8 /* bounds the queue of leases */
#define TEND_MS 5000
#define IDLE_MS 60000 /* then a connection beyond the least is closed */
#define CLEAN_MS 1000 /* a connection that takes longer to come back to its senses is closed */

/* The state names the list. */
typedef enum { OPENING, IDLE, LEASED, CLEANING, STATES } state_t;

typedef struct postgres_pooled {
    list_t node;
    state_t state;
    postgres_pool_t *pool;
    postgres_link_t *link;   /* NULL: lost while it was leased */
    postgres_lease_t *lease; /* who has it, or waits until it is open */
    uint64_t idle_since_ms;
    bool touched;        /* something was left behind on it */
    struct scrub *scrub; /* while it is being reset */
    deadline_t limit;    /* of the cleaning */
} pooled_t;

/* A query that resets a connection; outlives it. */
typedef struct scrub {
    postgres_query_t query;
    postgres_statement_t statement;
    pooled_t *pooled; /* NULL: gone */
} scrub_t;

struct postgres_pool {
    postgres_t *postgres;
    list_t lists[STATES];
    int counts[STATES];
    shares_t shares;
    list_t turned; /* leases turned away whose `got` is on its way */
    deadline_t tend;
};

static const postgres_link_events_t EVENTS;

static loop_t *loop_of(const postgres_pool_t *pool) {
    return pool->postgres->ground.loop;
}

static void place(pooled_t *pooled, state_t state) {
    postgres_pool_t *pool = pooled->pool;
    if (pooled->state != STATES) pool->counts[pooled->state]--;
    list_remove(&pooled->node);
    pooled->state = state;
    if (state == STATES) return;
    pool->counts[state]++;
    list_push(&pool->lists[state], &pooled->node);
}

static int total(const postgres_pool_t *pool) {
    int sum = 0;
    for (int i = 0; i < STATES; i++)
        sum += pool->counts[i];
    return sum;
}

static void dismiss(pooled_t *pooled) {
    if (pooled->scrub) pooled->scrub->pooled = NULL;
    deadline_clear(&pooled->limit);
    if (pooled->link) postgres_link_close(pooled->link);
    place(pooled, STATES);
    free(pooled);
}

static void on_limit(deadline_t *deadline) {
    pooled_t *pooled = LIST_OWNER(deadline, pooled_t, limit);
    postgres_pool_t *pool = pooled->pool;
    dismiss(pooled);
    postgres_pool_serve(pool);
}

/* NULL: no memory. */
static pooled_t *open_one(postgres_pool_t *pool) {
    pooled_t *pooled = calloc(1, sizeof *pooled);
    if (!pooled) return NULL;
    *pooled = (pooled_t){.pool = pool, .state = STATES};
    list_init(&pooled->node);
    deadline_init(&pooled->limit, on_limit);
    postgres_link_options_t options = {.ground = &pool->postgres->ground,
        .url = &pool->postgres->url,
        .connect_ms = pool->postgres->options.connect_ms,
        .owned = true,
        .events = &EVENTS,
        .data = pooled};
    pooled->link = postgres_link_open(&options);
    if (!pooled->link) {
        free(pooled);
        return NULL;
    }
    place(pooled, OPENING);
    return pooled;
}

/* The one that was used last: the others may grow old. NULL when all are in use. */
static pooled_t *find(postgres_pool_t *pool) {
    const list_t *idle = &pool->lists[IDLE];
    if (!list_empty(idle)) return LIST_OWNER(idle->prev, pooled_t, node);
    return total(pool) < pool->postgres->options.pool_max ? open_one(pool) : NULL;
}

/* One that is opening for nobody any more. */
static pooled_t *find_opening(const postgres_pool_t *pool) {
    const list_t *opening = &pool->lists[OPENING];
    for (list_t *node = opening->next; node != opening; node = node->next) {
        pooled_t *pooled = LIST_OWNER(node, pooled_t, node);
        if (!pooled->lease) return pooled;
    }
    return NULL;
}

static void on_ready(deferred_t *deferred) {
    postgres_lease_t *lease = LIST_OWNER(deferred, postgres_lease_t, ready);
    deadline_clear(&lease->timer);
    list_remove(&lease->node);
    if (lease->err) lease->postgres = NULL;
    lease->got(lease);
}

/* The lease ends without a connection; its `got` comes now. */
static void disappoint(postgres_lease_t *lease, int err, const char *detail) {
    deadline_clear(&lease->timer);
    lease->pooled = NULL;
    lease->postgres = NULL;
    lease->err = err;
    snprintf(lease->detail, sizeof lease->detail, "%s", detail);
    lease->got(lease);
}

static void attach(pooled_t *pooled, postgres_lease_t *lease) {
    postgres_pool_t *pool = pooled->pool;
    shares_leave(&pool->shares, lease->tenant, &lease->node, true);
    pooled->lease = lease;
    lease->pooled = pooled;
    if (pooled->state != IDLE) return;
    place(pooled, LEASED);
    loop_defer(loop_of(pool), &lease->ready);
}

/* A server that is known to be down is not dialled for each who wants it. */
static void turn_away(postgres_pool_t *pool, postgres_lease_t *lease) {
    shares_leave(&pool->shares, lease->tenant, &lease->node, false);
    lease->err = ERR_UNAVAILABLE;
    snprintf(lease->detail, sizeof lease->detail, "%s", postgres_node_fault(pool->postgres->main));
    deadline_clear(&lease->timer);
    list_push(&pool->turned, &lease->node);
    loop_defer(loop_of(pool), &lease->ready);
}

/* Calls nobody: `got` follows on a later turn. */
void postgres_pool_serve(postgres_pool_t *pool) {
    for (list_t *next; (next = shares_next(&pool->shares));) {
        postgres_lease_t *lease = LIST_OWNER(next, postgres_lease_t, node);
        bool down = postgres_node_down(pool->postgres->main);
        pooled_t *pooled = down ? NULL : find_opening(pool);
        if (!down && !pooled) pooled = find(pool);
        if (down)
            turn_away(pool, lease);
        else if (pooled)
            attach(pooled, lease);
        else
            return;
    }
}

static void to_idle(pooled_t *pooled) {
    deadline_clear(&pooled->limit);
    pooled->lease = NULL;
    pooled->touched = false;
    pooled->idle_since_ms = loop_now(loop_of(pooled->pool));
    place(pooled, IDLE);
}

static void on_up(void *data, postgres_link_t *link) {
    pooled_t *pooled = data;
    postgres_lease_t *lease = pooled->lease;
    (void)link;
    if (!lease) {
        to_idle(pooled);
        postgres_pool_serve(pooled->pool);
        return;
    }
    place(pooled, LEASED);
    deadline_clear(&lease->timer);
    lease->got(lease);
}

/* One that is leased stays with its holder, who learns of it by what it sends. */
static void on_down(void *data, postgres_link_t *link, const char *detail) {
    pooled_t *pooled = data;
    postgres_pool_t *pool = pooled->pool;
    postgres_lease_t *lease = pooled->lease;
    (void)link;
    pooled->link = NULL;
    if (pooled->state == LEASED) return;
    dismiss(pooled);
    if (lease) {
        shares_return(&pool->shares, lease->tenant);
        disappoint(lease, ERR_UNAVAILABLE, detail);
    }
    postgres_pool_serve(pool); /* who waited for this one's place, or for its opening */
}

/* Cleaning: what runs is stopped, what is open rolled back, what is left behind thrown away. */

static void clean_on(pooled_t *pooled);

static void on_scrubbed(postgres_query_t *query) {
    scrub_t *scrub = LIST_OWNER(query, scrub_t, query);
    pooled_t *pooled = scrub->pooled;
    bool failed = query->err != 0;
    free(scrub);
    if (!pooled) return;
    postgres_pool_t *pool = pooled->pool;
    pooled->scrub = NULL;
    if (failed)
        dismiss(pooled);
    else
        clean_on(pooled);
    postgres_pool_serve(pool);
}

/* False: it cannot. */
static bool send_scrub(pooled_t *pooled, const char *sql) {
    postgres_t *postgres = pooled->pool->postgres;
    scrub_t *scrub = calloc(1, sizeof *scrub);
    if (!scrub) return false;
    scrub->pooled = pooled;
    scrub->statement.sql = sql;
    scrub->query = (postgres_query_t){.statements = &scrub->statement,
        .count = 1,
        .deadline_ms = loop_now(postgres->ground.loop) + CLEAN_MS,
        .done = on_scrubbed};
    pooled->scrub = scrub;
    postgres_begin(postgres, &scrub->query, postgres_finish);
    int err = postgres_link_send(pooled->link, &scrub->query);
    if (err) postgres_finish_later(&scrub->query, err, err_text(err));
    postgres_link_flush_later(pooled->link);
    return true;
}

static bool has_room(const postgres_pool_t *pool) {
    return pool->counts[IDLE] < pool->postgres->options.pool_idle || pool->shares.waiting;
}

/* One step of the cleaning, when the connection has nothing under way. */
static void clean_on(pooled_t *pooled) {
    PGTransactionStatusType status = postgres_link_state(pooled->link);
    if (status == PQTRANS_ACTIVE || !postgres_link_can_send(pooled->link))
        return; /* `free` comes */
    bool kept = has_room(pooled->pool);
    if (!kept || status == PQTRANS_UNKNOWN) {
        dismiss(pooled);
    } else if (status != PQTRANS_IDLE) {
        if (!send_scrub(pooled, "rollback")) dismiss(pooled);
    } else if (pooled->touched) {
        pooled->touched = false;
        postgres_link_forget_prepared(pooled->link);
        if (!send_scrub(pooled, "discard all")) dismiss(pooled);
    } else {
        to_idle(pooled);
    }
}

static void on_free(void *data, postgres_link_t *link) {
    pooled_t *pooled = data;
    postgres_pool_t *pool = pooled->pool;
    (void)link;
    if (pooled->state != CLEANING || pooled->scrub) return;
    clean_on(pooled);
    postgres_pool_serve(pool);
}

static const postgres_link_events_t EVENTS = {.up = on_up, .down = on_down, .free = on_free};

static void begin_cleaning(pooled_t *pooled) {
    postgres_pool_t *pool = pooled->pool;
    pooled->touched = true;
    place(pooled, CLEANING);
    deadline_set(loop_of(pool), &pooled->limit, loop_now(loop_of(pool)) + CLEAN_MS);
    postgres_link_pause(pooled->link, false);
    postgres_link_abandon(pooled->link);
    clean_on(pooled);
}

static void fill(postgres_pool_t *pool) {
    if (postgres_node_down(pool->postgres->main)) return;
    while (total(pool) < pool->postgres->options.pool_min)
        if (!open_one(pool)) return;
}

/* Closes what has been idle for long, keeps the least open. */
static void on_tend(deadline_t *deadline) {
    postgres_pool_t *pool = LIST_OWNER(deadline, postgres_pool_t, tend);
    uint64_t now = loop_now(loop_of(pool));
    while (!list_empty(&pool->lists[IDLE]) && total(pool) > pool->postgres->options.pool_min) {
        pooled_t *oldest = LIST_OWNER(pool->lists[IDLE].next, pooled_t, node);
        if (now - oldest->idle_since_ms < IDLE_MS) break;
        dismiss(oldest);
    }
    fill(pool);
    deadline_set(loop_of(pool), &pool->tend, now + TEND_MS);
}

static postgres_pool_t *pool_new(postgres_t *postgres) {
    postgres_pool_t *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pool->postgres = postgres;
    for (int i = 0; i < STATES; i++)
        list_init(&pool->lists[i]);
    list_init(&pool->turned);
    /* No tenant may have them all, else its long transactions would shut out the others. */
    shares_create(&pool->shares, (postgres->options.pool_max + 1) / 2);
    deadline_init(&pool->tend, on_tend);
    deadline_set(postgres->ground.loop, &pool->tend, loop_now(postgres->ground.loop));
    return pool;
}

/* Only once it waits for its turn or for a connection; what it holds has no deadline. */
static void on_deadline(deadline_t *deadline) {
    postgres_lease_t *lease = LIST_OWNER(deadline, postgres_lease_t, timer);
    postgres_pool_t *pool = lease->postgres->pool;
    pooled_t *pooled = lease->pooled;
    if (pooled && pooled->state == LEASED) return; /* `got` is on its way */
    if (pooled) {
        pooled->lease = NULL;
        shares_return(&pool->shares, lease->tenant);
    } else {
        shares_leave(&pool->shares, lease->tenant, &lease->node, false);
    }
    disappoint(lease, ERR_TIMEOUT, "no connection was free in time");
}

static void begin(postgres_t *postgres, postgres_lease_t *lease) {
    lease->postgres = postgres;
    lease->pooled = NULL;
    lease->err = 0;
    lease->detail[0] = '\0';
    list_init(&lease->node);
    deferred_init(&lease->ready, on_ready);
    deadline_init(&lease->timer, on_deadline);
}

int postgres_lease(postgres_t *postgres, postgres_lease_t *lease) {
    if (postgres->closing) return ERR_CLOSED;
    if (!postgres->pool) postgres->pool = pool_new(postgres);
    postgres_pool_t *pool = postgres->pool;
    if (!pool) return ERR_NO_MEMORY;
    size_t most = (size_t)postgres->options.pool_max * WAITING_PER_CONNECTION;
    if (pool->shares.waiting >= most) return ERR_BUSY;
    begin(postgres, lease);
    int err = shares_wait(&pool->shares, lease->tenant, &lease->node);
    if (err) return err;
    uint64_t soon = loop_now(loop_of(pool)) + postgres->options.connect_ms;
    deadline_set(loop_of(pool), &lease->timer, lease->deadline_ms ? lease->deadline_ms : soon);
    postgres_pool_serve(pool);
    return 0;
}

static pooled_t *held(const postgres_lease_t *lease) {
    pooled_t *pooled = lease->postgres ? lease->pooled : NULL;
    return pooled && pooled->state == LEASED && pooled->link ? pooled : NULL;
}

postgres_link_t *postgres_pool_link(const postgres_lease_t *lease) {
    pooled_t *pooled = held(lease);
    return pooled && postgres_link_can_send(pooled->link) ? pooled->link : NULL;
}

int postgres_lease_submit(postgres_lease_t *lease, postgres_query_t *query) {
    postgres_link_t *link = postgres_pool_link(lease);
    if (!link) return ERR_CLOSED;
    int err = postgres_check(lease->postgres, query, true);
    if (err) return err;
    for (int i = 0; i < query->count; i++)
        if (postgres_verb_nature(query->statements[i].sql) == POSTGRES_SESSION)
            lease->pooled->touched = true;
    postgres_begin(lease->postgres, query, postgres_finish);
    err = postgres_link_send(link, query);
    if (err) postgres_finish_later(query, err, err_text(err));
    postgres_link_flush_later(link);
    return 0;
}

PGTransactionStatusType postgres_lease_state(const postgres_lease_t *lease) {
    pooled_t *pooled = held(lease);
    return pooled ? postgres_link_state(pooled->link) : PQTRANS_UNKNOWN;
}

void postgres_lease_pause(postgres_lease_t *lease, bool paused) {
    pooled_t *pooled = held(lease);
    if (pooled) postgres_link_pause(pooled->link, paused);
}

static void take_back(pooled_t *pooled, bool clean) {
    postgres_pool_t *pool = pooled->pool;
    pooled->lease = NULL;
    if (pooled->state == OPENING) return; /* for the next one */
    bool idle = pooled->link && postgres_link_can_send(pooled->link) &&
                postgres_link_state(pooled->link) == PQTRANS_IDLE;
    bool gone = !pooled->link || postgres_link_is_taken(pooled->link) || !has_room(pool);
    if (gone)
        dismiss(pooled);
    else if (clean && idle && !pooled->touched)
        to_idle(pooled);
    else
        begin_cleaning(pooled);
}

void postgres_lease_end(postgres_lease_t *lease, bool clean) {
    postgres_t *postgres = lease->postgres;
    if (lease->err == ERR_CLOSED) deferred_clear(&lease->ready); /* the pool has gone before */
    if (!postgres) return;
    lease->postgres = NULL;
    deadline_clear(&lease->timer);
    deferred_clear(&lease->ready);
    if (lease->pooled) {
        shares_return(&postgres->pool->shares, lease->tenant);
        take_back(lease->pooled, clean);
    } else if (lease->err) {
        list_remove(&lease->node);
    } else if (!list_empty(&lease->node)) {
        shares_leave(&postgres->pool->shares, lease->tenant, &lease->node, false);
    }
    lease->pooled = NULL;
    postgres_pool_serve(postgres->pool);
}

void postgres_pool_count(const postgres_pool_t *pool, postgres_counts_t *counts) {
    counts->opening = pool->counts[OPENING];
    counts->idle = pool->counts[IDLE];
    counts->leased = pool->counts[LEASED];
    counts->cleaning = pool->counts[CLEANING];
    counts->waiting = pool->shares.waiting;
}

/* Leases outlive the pool: their holders end them later, or never. */
static void part(postgres_lease_t *lease) {
    deadline_clear(&lease->timer);
    deferred_clear(&lease->ready);
    list_remove(&lease->node);
    lease->postgres = NULL;
    lease->pooled = NULL;
}

static void on_closed(deferred_t *deferred) {
    postgres_lease_t *lease = LIST_OWNER(deferred, postgres_lease_t, ready);
    lease->got(lease);
}

/* One that still hopes for its `got` gets it. */
static void close_lease(postgres_pool_t *pool, postgres_lease_t *lease, bool had_it) {
    part(lease);
    lease->err = ERR_CLOSED;
    deferred_init(&lease->ready, on_closed);
    if (!had_it) loop_defer(loop_of(pool), &lease->ready);
}

static void close_list(postgres_pool_t *pool, list_t *list) {
    while (!list_empty(list)) {
        pooled_t *pooled = LIST_OWNER(list->next, pooled_t, node);
        postgres_lease_t *lease = pooled->lease;
        bool had_it = lease && pooled->state == LEASED && list_empty(&lease->ready.node);
        if (lease) close_lease(pool, lease, had_it);
        dismiss(pooled);
    }
}

void postgres_pool_close(postgres_pool_t *pool) {
    deadline_clear(&pool->tend);
    pool->shares.most = pool->postgres->options.pool_max + 1; /* so that all that wait are found */
    for (list_t *next; (next = shares_next(&pool->shares));) {
        postgres_lease_t *lease = LIST_OWNER(next, postgres_lease_t, node);
        shares_leave(&pool->shares, lease->tenant, &lease->node, false);
        close_lease(pool, lease, false);
    }
    while (!list_empty(&pool->turned))
        close_lease(pool, LIST_OWNER(pool->turned.next, postgres_lease_t, node), false);
    for (int i = 0; i < STATES; i++)
        close_list(pool, &pool->lists[i]);
    shares_destroy(&pool->shares);
    pool->postgres->pool = NULL;
    free(pool);
}
