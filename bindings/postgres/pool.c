/* pool.c: connections of one's own to the primary, and how one is cleaned before the next holder has it. */
#include <stdlib.h>
#include "base/err.h"
#include "postgres/query.h"
#include "postgres/verb.h"

#define WAITING_PER_CONNECTION 8 /* bounds the queue of leases */
#define CLEAN_MS 1000 /* a connection that takes longer to come back to its senses is closed */

typedef struct owned {
    pooled_t pooled;
    postgres_link_t *link; /* NULL: lost while it was leased */
    bool touched;          /* something was left behind on it */
    struct scrub *scrub;   /* while it is being reset */
} owned_t;

/* A query that resets a connection; outlives it. */
typedef struct scrub {
    postgres_query_t query;
    postgres_statement_t statement;
    owned_t *owned; /* NULL: gone */
} scrub_t;

static owned_t *owned_of(const pooled_t *pooled) {
    return LIST_OWNER(pooled, owned_t, pooled);
}

/* Cleaning: what runs is stopped, what is open rolled back, what is left behind thrown away. */

static void clean_on(owned_t *owned);

static void on_scrubbed(postgres_query_t *query) {
    scrub_t *scrub = LIST_OWNER(query, scrub_t, query);
    owned_t *owned = scrub->owned;
    bool failed = query->err != 0;
    free(scrub);
    if (!owned) return;
    owned->scrub = NULL;
    if (failed)
        pooled_drop(&owned->pooled);
    else
        clean_on(owned);
}

static void send_scrub(owned_t *owned, const char *sql) {
    postgres_t *postgres = pool_engine(owned->pooled.pool);
    scrub_t *scrub = calloc(1, sizeof *scrub);
    if (!scrub) {
        pooled_drop(&owned->pooled);
        return;
    }
    scrub->owned = owned;
    scrub->statement.sql = sql;
    scrub->query = (postgres_query_t){.statements = &scrub->statement,
        .count = 1,
        .deadline_ms = loop_now(postgres->ground.loop) + CLEAN_MS,
        .done = on_scrubbed};
    owned->scrub = scrub;
    postgres_begin(postgres, &scrub->query, postgres_finish);
    int err = postgres_link_send(owned->link, &scrub->query);
    if (err) postgres_finish_later(&scrub->query, err, err_text(err));
    postgres_link_flush_later(owned->link);
}

/* One step of the cleaning, when the connection has nothing under way. */
static void clean_on(owned_t *owned) {
    PGTransactionStatusType status = postgres_link_state(owned->link);
    if (status == PQTRANS_ACTIVE || !postgres_link_can_send(owned->link)) return; /* `free` comes */
    if (status == PQTRANS_UNKNOWN) {
        pooled_drop(&owned->pooled);
    } else if (status != PQTRANS_IDLE) {
        send_scrub(owned, "rollback");
    } else if (owned->touched) {
        owned->touched = false;
        postgres_link_forget_prepared(owned->link);
        send_scrub(owned, "discard all");
    } else {
        pooled_cleaned(&owned->pooled);
    }
}

static void begin_cleaning(pooled_t *pooled) {
    owned_t *owned = owned_of(pooled);
    owned->touched = true;
    postgres_link_pause(owned->link, false);
    postgres_link_abandon(owned->link);
    clean_on(owned);
}

/* A connection's life */

static void on_up(void *data, postgres_link_t *link) {
    (void)link;
    pooled_up(data);
}

static void on_down(void *data, postgres_link_t *link, const char *detail) {
    (void)link;
    owned_of(data)->link = NULL;
    pooled_down(data, detail);
}

static void on_free(void *data, postgres_link_t *link) {
    owned_t *owned = owned_of(data);
    (void)link;
    if (owned->pooled.state == POOLED_CLEANING && !owned->scrub) clean_on(owned);
}

static const postgres_link_events_t EVENTS = {.up = on_up, .down = on_down, .free = on_free};

static void *server(void *engine, span_t key) {
    (void)key;
    return ((postgres_t *)engine)->main;
}

static const char *fault(const void *node) {
    return postgres_node_down(node) ? postgres_node_fault(node) : NULL;
}

static bool leads_to(const pooled_t *pooled, const void *node) {
    (void)pooled, (void)node;
    return true;
}

static pooled_t *open_one(void *engine, void *node) {
    postgres_t *postgres = engine;
    (void)node;
    owned_t *owned = calloc(1, sizeof *owned);
    if (!owned) return NULL;
    postgres_link_options_t options = {.ground = &postgres->ground,
        .url = &postgres->url,
        .connect_ms = postgres->options.connect_ms,
        .owned = true,
        .events = &EVENTS,
        .data = &owned->pooled};
    owned->link = postgres_link_open(&options);
    if (owned->link) return &owned->pooled;
    free(owned);
    return NULL;
}

static void close_one(pooled_t *pooled) {
    owned_t *owned = owned_of(pooled);
    if (owned->scrub) owned->scrub->owned = NULL;
    if (owned->link) postgres_link_close(owned->link);
    free(owned);
}

static pooled_fate_t fate(const pooled_t *pooled, bool clean) {
    const owned_t *owned = owned_of(pooled);
    if (!owned->link || postgres_link_is_taken(owned->link)) return POOLED_CLOSE;
    bool idle =
        postgres_link_can_send(owned->link) && postgres_link_state(owned->link) == PQTRANS_IDLE;
    return clean && idle && !owned->touched ? POOLED_KEEP : POOLED_CLEAN;
}

static const pool_ops_t OPS = {.server = server,
    .fault = fault,
    .leads_to = leads_to,
    .open = open_one,
    .close = close_one,
    .fate = fate,
    .clean = begin_cleaning};

static pool_t *new_pool(postgres_t *postgres) {
    const postgres_options_t *options = &postgres->options;
    return pool_new(&(pool_options_t){.loop = postgres->ground.loop,
        .ops = &OPS,
        .engine = postgres,
        .most = options->pool_max,
        .idle = options->pool_idle,
        .least = options->pool_min,
        .waiting = (size_t)options->pool_max * WAITING_PER_CONNECTION,
        .connect_ms = options->connect_ms,
        .clean_ms = CLEAN_MS});
}

/* What a holder does */

int postgres_lease(postgres_t *postgres, lease_t *lease) {
    if (postgres->closing) return ERR_CLOSED;
    if (!postgres->pool) postgres->pool = new_pool(postgres);
    return postgres->pool ? lease_begin(postgres->pool, lease) : ERR_NO_MEMORY;
}

/* NULL: none, or it has gone. */
static owned_t *held(const lease_t *lease) {
    pooled_t *pooled = lease_pooled(lease);
    return pooled && owned_of(pooled)->link ? owned_of(pooled) : NULL;
}

postgres_link_t *postgres_lease_link(const lease_t *lease) {
    owned_t *owned = held(lease);
    return owned && postgres_link_can_send(owned->link) ? owned->link : NULL;
}

int postgres_lease_submit(lease_t *lease, postgres_query_t *query) {
    postgres_link_t *link = postgres_lease_link(lease);
    if (!link) return ERR_CLOSED;
    postgres_t *postgres = pool_engine(lease->pool);
    int err = postgres_check(postgres, query, true);
    if (err) return err;
    for (int i = 0; i < query->count; i++)
        if (postgres_verb_nature(query->statements[i].sql) == POSTGRES_SESSION)
            held(lease)->touched = true;
    postgres_begin(postgres, query, postgres_finish);
    err = postgres_link_send(link, query);
    if (err) postgres_finish_later(query, err, err_text(err));
    postgres_link_flush_later(link);
    return 0;
}

PGTransactionStatusType postgres_lease_state(const lease_t *lease) {
    owned_t *owned = held(lease);
    return owned ? postgres_link_state(owned->link) : PQTRANS_UNKNOWN;
}

void postgres_lease_pause(lease_t *lease, bool paused) {
    owned_t *owned = held(lease);
    if (owned) postgres_link_pause(owned->link, paused);
}
