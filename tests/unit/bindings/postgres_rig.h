/* postgres_rig.h: a loop with PostgreSQL behind it, and queries with a copy of what came back. */
#ifndef PERIGEE_TESTS_POSTGRES_RIG_H
#define PERIGEE_TESTS_POSTGRES_RIG_H
#include "bindings/loop_rig.h"
#include "postgres/postgres.h"

static inline postgres_t *rig_client_with(loop_t *loop, postgres_options_t options) {
    char why[200];
    signal(SIGPIPE, SIG_IGN);
    if (!options.query_ms) options.query_ms = 20000;
    if (!options.connect_ms) options.connect_ms = 20000;
    postgres_t *postgres = postgres_new(loop, &options, why, sizeof why);
    if (!postgres) fprintf(stderr, "%s\n", why);
    assert_non_null(postgres);
    return postgres;
}

static inline postgres_t *rig_client(loop_t *loop, const char *url) {
    return rig_client_with(loop, (postgres_options_t){.url = url});
}

/* A query with a copy of what came back. */
typedef struct ask {
    postgres_query_t query;
    postgres_statement_t statements[8];
    postgres_param_t params[8][8];
    int done, err, failed, rows[8], chunks, chunk_rows;
    bool sent;
    char cell[8][128], sqlstate[6], constraint[64], detail[200];
} ask_t;

static inline void rig_take(postgres_query_t *query) {
    ask_t *ask = query->data;
    ask->done++;
    ask->err = query->err;
    ask->failed = query->failed;
    ask->sent = query->sent;
    snprintf(ask->sqlstate, sizeof ask->sqlstate, "%s", query->sqlstate);
    snprintf(ask->constraint, sizeof ask->constraint, "%s", query->constraint);
    snprintf(ask->detail, sizeof ask->detail, "%s", query->detail);
    for (int i = 0; i < query->nresults; i++) {
        const PGresult *result = query->results[i];
        ask->rows[i] = PQntuples(result);
        if (ask->rows[i] && PQnfields(result))
            snprintf(ask->cell[i], sizeof ask->cell[i], "%s",
                PQgetisnull(result, 0, 0) ? "NULL" : PQgetvalue(result, 0, 0));
    }
}

/* One more statement; up to two text parameters, NULL at the end. */
static inline void rig_add(ask_t *ask, const char *sql, const char *first, const char *second) {
    int at = ask->query.count++;
    const char *values[] = {first, second};
    ask->statements[at] = (postgres_statement_t){.sql = sql, .params = ask->params[at]};
    for (int i = 0; i < 2 && values[i]; i++)
        ask->params[at][ask->statements[at].count++].value = values[i];
}

static inline void rig_prepare(ask_t *ask, const char *sql, const char *first, const char *second) {
    memset(ask, 0, sizeof *ask);
    ask->query.statements = ask->statements;
    ask->query.done = rig_take;
    ask->query.data = ask;
    rig_add(ask, sql, first, second);
}

static inline void rig_submit(postgres_t *postgres, ask_t *ask, const char *sql) {
    rig_prepare(ask, sql, NULL, NULL);
    assert_int_equal(postgres_submit(postgres, &ask->query), 0);
    assert_int_equal(ask->done, 0);
}

static inline void rig_run(loop_t *loop, postgres_t *postgres, ask_t *ask, const char *sql) {
    rig_submit(postgres, ask, sql);
    RIG_UNTIL(loop, ask->done);
    assert_int_equal(ask->done, 1);
}

/* A lease. */
typedef struct hold {
    lease_t lease;
    int got;
} hold_t;

static inline void rig_got(lease_t *lease) {
    ((hold_t *)lease->data)->got++;
}

static inline void rig_want(postgres_t *postgres, hold_t *hold, const char *tenant) {
    memset(hold, 0, sizeof *hold);
    hold->lease.tenant = span_of(tenant);
    hold->lease.got = rig_got;
    hold->lease.data = hold;
    assert_int_equal(postgres_lease(postgres, &hold->lease), 0);
    assert_int_equal(hold->got, 0);
}

static inline void rig_get(loop_t *loop, postgres_t *postgres, hold_t *hold) {
    rig_want(postgres, hold, "shop");
    RIG_UNTIL(loop, hold->got);
    assert_int_equal(hold->lease.err, 0);
}

static inline void rig_do(loop_t *loop, hold_t *hold, ask_t *ask, const char *sql) {
    rig_prepare(ask, sql, NULL, NULL);
    assert_int_equal(postgres_lease_submit(&hold->lease, &ask->query), 0);
    RIG_UNTIL(loop, ask->done);
}

#endif
