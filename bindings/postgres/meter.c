/* meter.c: how far the replica is behind, asked each second: the primary first, so that the answer is not too small. */
#include <stdlib.h>
#include "postgres/meter.h"

#define EACH_MS 1000
#define PATIENCE_MS 1000 /* for one answer */

#define PRIMARY_SQL "select (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint"
#define REPLICA_SQL                                                                                \
    "select ((case when pg_is_in_recovery() then pg_last_wal_replay_lsn() "                        \
    "else pg_current_wal_lsn() end) - '0/0'::pg_lsn)::bigint, "                                    \
    "coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000, "    \
    "0)::bigint"

/* Each query has an end of its own, so the meter goes with the last that knows it. */
struct postgres_meter {
    postgres_t *postgres;
    deadline_t next;
    postgres_query_t query;
    postgres_statement_t statement;
    uint64_t written; /* by the primary; 0: it did not say */
    postgres_lag_t lag;
    bool asking, replica; /* replica: it is being asked */
    bool alive, deleted;
};

static void on_answer(postgres_query_t *query);

static void ask(postgres_meter_t *meter, bool replica) {
    postgres_t *postgres = meter->postgres;
    meter->asking = true;
    meter->replica = replica;
    meter->statement.sql = replica ? REPLICA_SQL : PRIMARY_SQL;
    meter->query = (postgres_query_t){.statements = &meter->statement,
        .count = 1,
        .deadline_ms = loop_now(postgres->ground.loop) + PATIENCE_MS,
        .done = on_answer};
    postgres_begin(postgres, &meter->query, postgres_finish);
    postgres_node_send(replica ? postgres->read : postgres->main, &meter->query);
}

static uint64_t number(const postgres_query_t *query, int column) {
    const PGresult *result = query->results[0];
    bool there = PQntuples(result) > 0 && column < PQnfields(result);
    return there ? strtoull(PQgetvalue(result, 0, column), NULL, 10) : 0;
}

static void on_replayed(postgres_meter_t *meter) {
    uint64_t replayed = number(&meter->query, 0), age = number(&meter->query, 1);
    uint64_t behind = meter->written > replayed ? meter->written - replayed : 0;
    meter->lag =
        (postgres_lag_t){.known = meter->written > 0, .bytes = behind, .ms = behind ? age : 0};
}

static void on_answer(postgres_query_t *query) {
    postgres_meter_t *meter = LIST_OWNER(query, postgres_meter_t, query);
    loop_t *loop = meter->postgres->ground.loop;
    bool answered = !query->err && query->results && query->results[0];
    meter->asking = false;
    if (meter->deleted) {
        free(meter);
        return;
    }
    if (!meter->replica) {
        meter->written = answered ? number(query, 0) : 0;
        ask(meter, true);
        return;
    }
    meter->alive = answered;
    meter->lag.known = false;
    if (answered) on_replayed(meter);
    deadline_set(loop, &meter->next, loop_now(loop) + EACH_MS);
}

static void on_next(deadline_t *deadline) {
    postgres_meter_t *meter = LIST_OWNER(deadline, postgres_meter_t, next);
    ask(meter, false);
}

postgres_meter_t *postgres_meter_new(postgres_t *postgres) {
    postgres_meter_t *meter = calloc(1, sizeof *meter);
    if (!meter) return NULL;
    meter->postgres = postgres;
    deadline_init(&meter->next, on_next);
    deadline_set(postgres->ground.loop, &meter->next, loop_now(postgres->ground.loop));
    return meter;
}

void postgres_meter_delete(postgres_meter_t *meter) {
    deadline_clear(&meter->next);
    meter->deleted = true;
    if (!meter->asking) free(meter);
}

postgres_lag_t postgres_meter_lag(const postgres_meter_t *meter) {
    return meter->lag;
}

bool postgres_meter_alive(const postgres_meter_t *meter) {
    return meter->alive;
}
