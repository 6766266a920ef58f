/* client.c: queries routed, and sent again where that is safe; the client opened, watched and closed with the loop. */
#include "postgres/postgres.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/lanes.h"
#include "postgres/errand.h"
#include "postgres/listen.h"
#include "postgres/meter.h"

#define BOUND 10000
#define RESULT_MAX ((size_t)16 * 1024 * 1024)
#define HOPS_MAX 5

/* A replica that has stopped answering is left alone until it answers again, so that nobody waits for it in vain. */
static void route(postgres_query_t *query) {
    postgres_t *postgres = query->postgres;
    bool replica = query->replica && !query->to_primary && postgres->read &&
                   postgres_node_up(postgres->read) && postgres_meter_alive(postgres->meter);
    postgres_node_send(replica ? postgres->read : postgres->main, query);
}

/* Whether a query without a good end may be sent again: it has not happened, or may happen twice. A replica that has
   gone is not asked again. */
static bool may_repeat(postgres_query_t *query) {
    bool first_stray = query->verdict == POSTGRES_STRAY && !query->stray;
    if (query->postgres->closing || query->hops >= HOPS_MAX) return false;
    if (query->replica && !query->to_primary && query->postgres->read) {
        bool lost = query->err == ERR_CLOSED || query->err == ERR_UNAVAILABLE;
        query->to_primary = lost || query->verdict == POSTGRES_BEHIND;
        if (query->to_primary) return true;
    }
    if (query->err == ERR_CLOSED) return query->repeatable;
    query->stray |= first_stray;
    return first_stray || query->verdict == POSTGRES_STALE || query->verdict == POSTGRES_READ_ONLY;
}

static void on_settled(postgres_query_t *query) {
    if (!query->err || !may_repeat(query)) {
        postgres_finish(query);
        return;
    }
    postgres_again(query);
    route(query);
}

static int start(postgres_query_t *query) {
    if (!query->slow) {
        route(query);
        return 0;
    }
    int err = postgres_errand_start(query);
    if (!err) return 0;
    deadline_clear(&query->timer);
    query->settle = NULL;
    query->postgres->count--;
    return err;
}

int postgres_submit(postgres_t *postgres, postgres_query_t *query) {
    int err = postgres_check(postgres, query, false);
    if (err) return err;
    postgres_begin(postgres, query, on_settled);
    return start(query);
}

bool postgres_up(const postgres_t *postgres) {
    return !postgres->closing && postgres_node_up(postgres->main);
}

postgres_lag_t postgres_lag(const postgres_t *postgres) {
    bool measured = !postgres->closing && postgres->meter;
    return measured ? postgres_meter_lag(postgres->meter) : (postgres_lag_t){0};
}

postgres_counts_t postgres_counts(const postgres_t *postgres) {
    postgres_counts_t counts = {.queries = postgres->count,
        .cancels = postgres->ground.cancels.count,
        .connects = postgres->ground.connects,
        .losses = postgres->ground.losses};
    if (!postgres->pool) return counts;
    pool_counts_t pool = pool_counts(postgres->pool);
    counts.opening = pool.of[POOLED_OPENING];
    counts.idle = pool.of[POOLED_IDLE];
    counts.leased = pool.of[POOLED_LEASED];
    counts.cleaning = pool.of[POOLED_CLEANING];
    counts.waiting = pool.waiting;
    return counts;
}

static void on_changed(void *data) {
    postgres_t *postgres = data;
    if (postgres->pool) pool_serve(postgres->pool);
}

static void close_client(void *data) {
    postgres_t *postgres = data;
    postgres->closing = true;
    if (postgres->meter) postgres_meter_delete(postgres->meter);
    if (postgres->pool) pool_delete(postgres->pool);
    postgres->pool = NULL;
    if (postgres->subscriber) postgres_subscriber_close(postgres->subscriber);
    if (postgres->main) postgres_node_delete(postgres->main);
    if (postgres->read) postgres_node_delete(postgres->read);
    postgres_cancels_close(&postgres->ground.cancels);
    postgres_gone(postgres);
}

static int read_url(const char *text, postgres_url_t *url, bool *has, char *why, size_t size) {
    *has = text && text[0];
    return *has ? postgres_url_parse(span_of(text), url, why, size) : 0;
}

static int read_urls(postgres_t *postgres, char *why, size_t size) {
    postgres_options_t *options = &postgres->options;
    bool is_replica, given;
    int err = read_url(options->url ? options->url : "", &postgres->url, &given, why, size);
    if (!err && !given) err = err_why(ERR_INVALID, why, size, "the PostgreSQL URL is missing");
    if (!err)
        err = read_url(options->read_url, &postgres->read_url, &postgres->has_read_url, why, size);
    if (!err)
        err = read_url(
            options->listen_url, &postgres->listen_url, &postgres->has_listen_url, why, size);
    options->url = options->read_url = options->listen_url = NULL; /* perhaps with a password */
    is_replica = postgres->has_read_url && !postgres->read_url.session_given;
    if (is_replica) snprintf(postgres->read_url.session, sizeof postgres->read_url.session, "any");
    return err;
}

static void fill_options(postgres_options_t *options) {
    if (options->shared <= 0) options->shared = 2;
    if (options->shared > LANES_MOST) options->shared = LANES_MOST;
    if (options->pool_max <= 0) options->pool_max = 8;
    if (options->pool_idle <= 0) options->pool_idle = 4;
    if (options->pool_min > options->pool_max) options->pool_min = options->pool_max;
    if (!options->connect_ms) options->connect_ms = 2000;
    if (!options->query_ms) options->query_ms = 5000;
    if (!options->bound) options->bound = BOUND;
    if (!options->result_max) options->result_max = RESULT_MAX;
}

static postgres_node_t *open_node(postgres_t *postgres, postgres_url_t *url, bool replica) {
    postgres_node_options_t options = {.ground = &postgres->ground,
        .url = url,
        .role = replica ? "replica" : "primary",
        .links = postgres->options.shared,
        .replica = replica,
        .connect_ms = postgres->options.connect_ms,
        .changed = on_changed,
        .data = postgres};
    return postgres_node_new(&options);
}

static bool open_nodes(postgres_t *postgres) {
    postgres->main = open_node(postgres, &postgres->url, false);
    if (!postgres->main || !postgres->has_read_url) return postgres->main != NULL;
    postgres->read = open_node(postgres, &postgres->read_url, true);
    if (postgres->read) postgres->meter = postgres_meter_new(postgres);
    return postgres->meter != NULL;
}

/* The URL alone says where to connect, as whom and how: a variable that somebody has set for psql would change that
   unseen, and one that names a service could make libpq look a host up where it stands, which is on the loop. */
static void clear_environment(const postgres_url_t *url) {
    static const char *const MORE[] = {"PGSERVICEFILE", "PGSYSCONFDIR", "PGREQUIRESSL", "PGGEQO"};
    for (const PQconninfoOption *option = url->parsed; option && option->keyword; option++)
        if (option->envvar) unsetenv(option->envvar);
    for (size_t i = 0; i < sizeof MORE / sizeof *MORE; i++)
        unsetenv(MORE[i]);
}

/* Scripts read and write values in these forms, whatever the server's settings are. libpq says them in the first
   message of each connection; unlike `options` in the URL, poolers know them there. */
static void set_forms(void) {
    setenv("PGDATESTYLE", "ISO", true);
    setenv("PGTZ", "UTC", true);
}

postgres_t *postgres_new(loop_t *loop, const postgres_options_t *options, char *why, size_t size) {
    postgres_t *postgres = calloc(1, sizeof *postgres);
    snprintf(why, size, "%s", err_text(ERR_NO_MEMORY));
    if (!postgres) return NULL;
    postgres->ground.loop = loop;
    postgres_cancels_create(&postgres->ground.cancels, loop);
    postgres->options = *options;
    fill_options(&postgres->options);
    postgres->ground.result_max = postgres->options.result_max;
    int err = read_urls(postgres, why, size);
    if (!err) clear_environment(&postgres->url);
    if (!err) set_forms();
    if (!err && open_nodes(postgres) && loop_exit_add(loop, close_client, postgres) == 0)
        return postgres;
    close_client(postgres);
    return NULL;
}
