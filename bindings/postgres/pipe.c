/* pipe.c: queries written to a connection as commands of libpq's pipeline: fence, guard, statements, sync. */
#include "postgres/pipe.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "postgres/verb.h"

#define FENCE_SQL "select set_config('perigee.tenant', $1, true)"
/* Divides by zero, which no query of this text does otherwise, when the replica has not replayed enough. */
#define GUARD_SQL                                                                                  \
    "select 1 / (case when pg_is_in_recovery() and pg_last_wal_replay_lsn() - '0/0'::pg_lsn < "    \
    "$1::numeric then 0 else 1 end)"

int postgres_pipe_create(postgres_pipe_t *pipe, PGconn *conn, bool prepare) {
    *pipe = (postgres_pipe_t){.conn = conn, .prepare = prepare};
    postgres_statements_create(&pipe->statements);
    bool ready = PQsetnonblocking(conn, 1) == 0 && PQenterPipelineMode(conn) == 1;
    return ready ? 0 : ERR_UNAVAILABLE;
}

void postgres_pipe_destroy(postgres_pipe_t *pipe) {
    PQfinish(pipe->conn);
    postgres_statements_destroy(&pipe->statements);
    free(pipe->steps);
    free(pipe->types);
    free(pipe->values);
    free(pipe->lengths);
    free(pipe->formats);
}

static postgres_step_t *step_at(const postgres_pipe_t *pipe, uint64_t number) {
    return &pipe->steps[number & (pipe->capacity - 1)];
}

static int make_room(postgres_pipe_t *pipe, size_t more) {
    size_t capacity = pipe->capacity ? pipe->capacity : 32;
    while (capacity < pipe->tail - pipe->head + more)
        capacity *= 2;
    if (capacity == pipe->capacity) return 0;
    postgres_step_t *steps = malloc(capacity * sizeof *steps);
    if (!steps) return ERR_NO_MEMORY;
    for (uint64_t i = pipe->head; i < pipe->tail; i++)
        steps[i & (capacity - 1)] = *step_at(pipe, i);
    free(pipe->steps);
    pipe->steps = steps;
    pipe->capacity = capacity;
    return 0;
}

static bool enlarge(void *array, size_t size) {
    void **at = array, *bigger = realloc(*at, size);
    if (bigger) *at = bigger;
    return bigger != NULL;
}

static int make_params_room(postgres_pipe_t *pipe, const postgres_query_t *query) {
    int most = 1;
    for (int i = 0; i < query->count; i++)
        if (query->statements[i].count > most) most = query->statements[i].count;
    if (most <= pipe->room) return 0;
    size_t count = (size_t)most;
    bool all = enlarge(&pipe->types, count * sizeof *pipe->types) &&
               enlarge(&pipe->values, count * sizeof *pipe->values) &&
               enlarge(&pipe->lengths, count * sizeof *pipe->lengths) &&
               enlarge(&pipe->formats, count * sizeof *pipe->formats);
    if (all) pipe->room = most;
    return all ? 0 : ERR_NO_MEMORY;
}

static void push(postgres_pipe_t *pipe, postgres_step_kind_t kind, int index, uint64_t number) {
    *step_at(pipe, pipe->tail++) =
        (postgres_step_t){.kind = kind, .index = index, .number = number};
}

static void spread(postgres_pipe_t *pipe, const postgres_statement_t *statement) {
    for (int i = 0; i < statement->count; i++) {
        const postgres_param_t *param = &statement->params[i];
        pipe->types[i] = param->type;
        pipe->values[i] = param->value;
        pipe->lengths[i] = param->length;
        pipe->formats[i] = param->format;
    }
}

static bool run_prepared(
    postgres_pipe_t *pipe, const postgres_statement_t *statement, postgres_prepared_t *prepared) {
    return PQsendQueryPrepared(pipe->conn, prepared->name, statement->count, pipe->values,
               pipe->lengths, pipe->formats, statement->binary) == 1;
}

static bool prepare(
    postgres_pipe_t *pipe, const postgres_statement_t *statement, postgres_prepared_t *prepared) {
    prepared->state = PREPARED_SENT;
    return PQsendPrepare(
               pipe->conn, prepared->name, statement->sql, statement->count, pipe->types) == 1;
}

static bool run_plain(postgres_pipe_t *pipe, const postgres_statement_t *statement) {
    return PQsendQueryParams(pipe->conn, statement->sql, statement->count, pipe->types,
               pipe->values, pipe->lengths, pipe->formats, statement->binary) == 1;
}

/* What another segment prepares is not relied on: should that fail, this one would fail for no fault of its own. */
static bool run(postgres_pipe_t *pipe, postgres_step_kind_t kind, int index,
    const postgres_statement_t *statement) {
    postgres_prepared_t *prepared =
        pipe->prepare ? postgres_statements_find(&pipe->statements, statement) : NULL;
    spread(pipe, statement);
    bool by_name = prepared && prepared->state != PREPARED_SENT;
    if (by_name && prepared->state == PREPARED_NEW) {
        if (!prepare(pipe, statement, prepared)) return false;
        push(pipe, STEP_PREPARE, index, prepared->number);
    }
    push(pipe, kind, index, by_name ? prepared->number : 0);
    return by_name ? run_prepared(pipe, statement, prepared) : run_plain(pipe, statement);
}

static bool put_fence(postgres_pipe_t *pipe, span_t tenant) {
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)tenant.len, tenant.ptr);
    postgres_param_t param = {.value = text};
    postgres_statement_t fence = {.sql = FENCE_SQL, .params = &param, .count = 1};
    return run(pipe, STEP_FENCE, -1, &fence);
}

static bool put_guard(postgres_pipe_t *pipe, uint64_t lsn) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, lsn);
    postgres_param_t param = {.value = text};
    postgres_statement_t guard = {.sql = GUARD_SQL, .params = &param, .count = 1};
    return run(pipe, STEP_GUARD, -1, &guard);
}

/* libpq before 17 writes out with each sync. */
static bool put_sync(postgres_pipe_t *pipe) {
    push(pipe, STEP_SYNC, -1, 0);
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    return PQsendPipelineSync(pipe->conn) == 1;
#else
    return PQpipelineSync(pipe->conn) == 1;
#endif
}

/* A transaction's level can only be set before its first query, so the fence comes after BEGIN. */
static bool put_all(postgres_pipe_t *pipe, const postgres_query_t *query, bool guarded) {
    bool begins = postgres_verb_nature(query->statements[0].sql) == POSTGRES_BEGIN;
    if (guarded && query->min_lsn && !put_guard(pipe, query->min_lsn)) return false;
    if (begins && !run(pipe, STEP_RUN, 0, &query->statements[0])) return false;
    if (query->tenant.len && !put_fence(pipe, query->tenant)) return false;
    for (int i = begins; i < query->count; i++)
        if (!run(pipe, STEP_RUN, i, &query->statements[i])) return false;
    return put_sync(pipe);
}

int postgres_pipe_write(postgres_pipe_t *pipe, const postgres_query_t *query, bool guarded) {
    int err = make_room(pipe, 2 * (size_t)query->count + 5);
    if (!err) err = make_params_room(pipe, query);
    if (err) return err;
    return put_all(pipe, query, guarded) ? 0 : ERR_UNAVAILABLE;
}

bool postgres_pipe_write_close(postgres_pipe_t *pipe, int *err) {
    char sql[64], name[POSTGRES_PREPARED_NAME_MAX];
    uint64_t number;
    *err = make_room(pipe, 2);
    if (*err || !postgres_statements_doomed(&pipe->statements, &number)) return false;
    postgres_prepared_name(number, name);
    snprintf(sql, sizeof sql, "deallocate %s", name);
    postgres_statement_t statement = {.sql = sql};
    push(pipe, STEP_CLOSE, -1, 0);
    *err = run_plain(pipe, &statement) && put_sync(pipe) ? 0 : ERR_UNAVAILABLE;
    return true;
}

postgres_step_t *postgres_pipe_first(const postgres_pipe_t *pipe) {
    return pipe->head == pipe->tail ? NULL : step_at(pipe, pipe->head);
}

void postgres_pipe_pop(postgres_pipe_t *pipe) {
    pipe->head++;
}

/* 26000: there is no such statement (somebody has thrown it away, or there is a pooler); 0A000: its columns are others
   since it was prepared. */
static bool is_stale(const char *sqlstate) {
    return strcmp(sqlstate, "26000") == 0 || strcmp(sqlstate, "0A000") == 0;
}

bool postgres_pipe_learn(postgres_pipe_t *pipe, const char *sqlstate) {
    const postgres_step_t *step = postgres_pipe_first(pipe);
    bool stale = step->kind != STEP_PREPARE && sqlstate && is_stale(sqlstate);
    if (!step->number || (step->kind != STEP_PREPARE && !stale)) return false;
    postgres_prepared_t *prepared = postgres_statements_by_number(&pipe->statements, step->number);
    if (step->kind == STEP_PREPARE && !sqlstate && prepared)
        prepared->state = PREPARED_READY;
    else if (prepared && ((step->kind == STEP_PREPARE && sqlstate) || stale))
        postgres_statements_drop(&pipe->statements, prepared, stale && sqlstate[0] == '0');
    return stale;
}
