/* query_lua.c: copies a script's statements, submits them, and finishes the wait with their results. */
#include "postgres/query_lua.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/decimal.h"
#include "postgres/failure.h"
#include "postgres/rows.h"
#include "postgres/statements.h"

#define TIMEOUT_MOST_MS 3600000
#define TENANT_MOST 64

typedef struct op {
    await_t await;
    query_kind_t kind;
    leased_t *leased; /* NULL: on shared connections */
    statements_t statements;
    postgres_query_t query;
    int skip; /* statements in front that are not the script's */
    PGresult **results;
    int nresults;
    failure_t failure;
    char tenant[];
} op_t;

/* Options */

static uint64_t check_lsn(lua_State *L) {
    span_t text;
    uint64_t lsn = 0;
    if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) >= 0)
        lsn = (uint64_t)lua_tonumber(L, -1);
    else if (!decimal_at(L, -1, &text) || span_to_u64(text, &lsn))
        luaL_error(L, "min_lsn: what pg.lsn() answered expected");
    return lsn;
}

static bool flag(lua_State *L, int index, const char *name) {
    lua_getfield(L, index, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

void query_options_check(lua_State *L, int index, query_options_t *options) {
    *options = (query_options_t){.tenant = {"", 0}};
    if (lua_isnoneornil(L, index)) return;
    luaL_checktype(L, index, LUA_TTABLE);
    lua_getfield(L, index, "tenant");
    if (!lua_isnil(L, -1)) {
        options->tenant.ptr = luaL_checklstring(L, -1, &options->tenant.len);
        if (!options->tenant.len || options->tenant.len > TENANT_MOST)
            luaL_error(L, "a tenant's id expected");
    }
    lua_getfield(L, index, "timeout_ms");
    lua_Number ms = luaL_optnumber(L, -1, 0);
    if (ms < 0 || ms > TIMEOUT_MOST_MS) luaL_error(L, "timeout_ms: at most an hour expected");
    options->timeout_ms = (uint64_t)ms;
    lua_getfield(L, index, "min_lsn");
    if (!lua_isnil(L, -1)) options->min_lsn = check_lsn(L);
    lua_pop(L, 3);
    options->replica = flag(L, index, "replica");
    options->slow = flag(L, index, "slow");
    options->repeatable = flag(L, index, "repeatable") || options->replica;
}

uint64_t query_options_deadline(const query_options_t *options, loop_t *loop) {
    return options->timeout_ms ? loop_now(loop) + options->timeout_ms : 0;
}

/* The wait */

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static void push_answer(lua_State *L, const PGresult *result) {
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        rows_push(L, result);
    else
        lua_pushnumber(L, rows_affected(result));
}

static void push_batch(lua_State *L, const op_t *op) {
    lua_createtable(L, op->nresults - op->skip, 0);
    for (int i = op->skip; i < op->nresults; i++) {
        push_answer(L, op->results[i]);
        lua_rawseti(L, -2, i - op->skip + 1);
    }
}

/* A transaction in which something had failed answers COMMIT with a rollback, and no error. */
static int push_commit(lua_State *L, const PGresult *result) {
    failure_t failure;
    if (!strcmp(PQcmdStatus((PGresult *)result), "COMMIT")) {
        lua_pushboolean(L, true);
        return 1;
    }
    failure_set(
        &failure, ERR_CONFLICT, "a statement of the transaction had failed: it was rolled back");
    return failure_push(L, &failure);
}

static int push(await_t *await, lua_State *L) {
    op_t *op = op_of(await);
    if (op->failure.err) return failure_push(L, &op->failure);
    switch (op->kind) {
    case QUERY_ROWS:
        rows_push(L, op->results[op->skip]);
        return 1;
    case QUERY_ONE:
        rows_push_first(L, op->results[op->skip]);
        return 1;
    case QUERY_COUNT:
        lua_pushnumber(L, rows_affected(op->results[op->skip]));
        return 1;
    case QUERY_BATCH:
        push_batch(L, op);
        return 1;
    case QUERY_COMMIT:
        return push_commit(L, op->results[op->skip]);
    default:
        lua_pushboolean(L, true);
        return 1;
    }
}

static void cancel(await_t *await) {
    postgres_cancel(&op_of(await)->query);
}

static void op_delete(op_t *op) {
    for (int i = 0; i < op->nresults; i++)
        PQclear(op->results[i]);
    free(op->results);
    statements_destroy(&op->statements);
    leased_drop(op->leased);
    free(op);
}

static void release(await_t *await) {
    op_delete(op_of(await));
}

static const await_ops_t QUERY = {push, cancel, release, "postgres.query"};
static const await_ops_t COMMIT = {push, cancel, release, "postgres.commit"};

static void take_results(op_t *op) {
    op->results = calloc((size_t)op->query.nresults, sizeof *op->results);
    if (!op->results) {
        failure_set(&op->failure, ERR_NO_MEMORY, NULL);
        return;
    }
    op->nresults = op->query.nresults;
    for (int i = 0; i < op->nresults; i++)
        op->results[i] = postgres_take(&op->query, i);
}

static void on_done(postgres_query_t *query) {
    op_t *op = query->data;
    if (op->leased) leased_done(op->leased);
    if (query->err)
        failure_of_query(&op->failure, query, op->skip);
    else
        take_results(op);
    await_finish(&op->await);
}

/* The beginning */

static op_t *op_new(leased_t *leased, query_kind_t kind, const query_options_t *options) {
    op_t *op = calloc(1, sizeof *op + options->tenant.len + 1);
    if (!op) return NULL;
    op->kind = kind;
    op->leased = leased ? leased_ref(leased) : NULL;
    statements_create(&op->statements);
    memcpy(op->tenant, options->tenant.ptr, options->tenant.len);
    op->query.tenant = (span_t){op->tenant, options->tenant.len};
    return op;
}

static int fill_batch(statements_t *statements, lua_State *L, int list) {
    int err = 0, count = lua_istable(L, list) ? (int)lua_objlen(L, list) : 0;
    if (!count || count > POSTGRES_STATEMENTS_MAX - 1)
        return fault_set(&statements->fault, ERR_INVALID, "a list of 1 to %d statements expected",
            POSTGRES_STATEMENTS_MAX - 1);
    for (int i = 1; i <= count && !err; i++) {
        fault_t inner;
        lua_rawgeti(L, list, i);
        err = statements_add_table(statements, L, lua_gettop(L));
        inner = statements->fault;
        if (err) fault_set(&statements->fault, err, "statement %d: %.150s", i, inner.why);
        lua_pop(L, 1);
    }
    return err;
}

/* Raises nothing. */
static int fill(op_t *op, lua_State *L, int first) {
    statements_t *statements = &op->statements;
    int err = 0;
    if (op->leased && op->leased->begin) {
        err = statements_add_text(statements, op->leased->begin);
        op->skip = 1;
    }
    if (!err && op->kind == QUERY_COMMIT)
        err = statements_add_text(statements, "COMMIT");
    else if (!err && op->kind == QUERY_BATCH)
        err = fill_batch(statements, L, first + 1);
    else if (!err && op->kind != QUERY_START)
        err = statements_add(statements, L, first + 1);
    if (!err) err = statements_end(statements);
    return err;
}

static int refuse(lua_State *L, op_t *op, int err) {
    char why[sizeof op->statements.fault.why];
    memcpy(why, op->statements.fault.why, sizeof why);
    op_delete(op);
    return err == ERR_INVALID ? luaL_error(L, "%s", why) : await_push_error(L, err, NULL);
}

static void submit(op_t *op, postgres_t *postgres, const query_options_t *options) {
    postgres_query_t *query = &op->query;
    query->statements = statements_all(&op->statements);
    query->count = statements_count(&op->statements);
    query->deadline_ms = query_options_deadline(options, op->await.loop);
    query->replica = options->replica;
    query->slow = options->slow;
    query->repeatable = options->repeatable;
    query->min_lsn = options->min_lsn;
    query->done = on_done;
    query->data = op;
    int err = op->leased ? leased_submit(op->leased, query) : postgres_submit(postgres, query);
    if (!err) return;
    failure_set(&op->failure, err, query->detail);
    await_finish(&op->await);
}

int query_lua_run(
    lua_State *L, postgres_t *postgres, leased_t *leased, query_kind_t kind, int first) {
    query_options_t options;
    query_options_check(L, first, &options);
    op_t *op = op_new(leased, kind, &options);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    int err = fill(op, L, first);
    if (err) return refuse(L, op, err);
    await_begin(L, &op->await, kind == QUERY_COMMIT ? &COMMIT : &QUERY, 0);
    submit(op, postgres, &options);
    return await_park(L, &op->await);
}
