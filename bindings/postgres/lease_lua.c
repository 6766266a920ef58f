/* lease_lua.c: gets a connection from the pool, runs a script's statements on it, and gives it back. */
#include "postgres/lease_lua.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/await.h"
#include "postgres/copy_lua.h"
#include "postgres/query_lua.h"
#include "postgres/stream_lua.h"

#define CONNECTION "perigee.postgres.connection"

typedef struct op {
    await_t await;
    leased_t *leased; /* until a script has it */
} op_t;

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static void on_got(postgres_lease_t *lease) {
    op_t *op = lease->data;
    if (lease->err)
        await_fail(&op->await, lease->err, lease->detail);
    else
        await_finish(&op->await);
}

static int push(await_t *await, lua_State *L) {
    op_t *op = op_of(await);
    leased_t **box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    luaL_getmetatable(L, CONNECTION);
    lua_setmetatable(L, -2);
    *box = op->leased;
    op->leased = NULL;
    return 1;
}

static void cancel(await_t *await) {
    leased_end(op_of(await)->leased, false);
    await_finish(await);
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    leased_drop(op->leased);
    free(op);
}

static const await_ops_t LEASE = {push, cancel, release, "postgres.lease"};

int lease_handle_get(lua_State *L, postgres_t *postgres) {
    query_options_t options;
    query_options_check(L, 1, &options);
    op_t *op = calloc(1, sizeof *op);
    if (op) op->leased = leased_new(postgres, options.tenant);
    if (!op || !op->leased) {
        free(op);
        return await_push_error(L, ERR_NO_MEMORY, NULL);
    }
    await_begin(L, &op->await, &LEASE, 0);
    int err = leased_get(op->leased, L, on_got, op);
    if (err) await_fail(&op->await, err, op->leased->lease.detail);
    return await_park(L, &op->await);
}

/* The methods */

static leased_t **check_box(lua_State *L) {
    return luaL_checkudata(L, 1, CONNECTION);
}

static leased_t *check_leased(lua_State *L) {
    leased_t *leased = *check_box(L);
    if (!leased || !leased->held) luaL_error(L, "the connection has been given back");
    if (leased->rows)
        luaL_error(L, "rows are still being read on this connection: read them all or close them");
    return leased;
}

static int run(lua_State *L, query_kind_t kind) {
    leased_t *leased = check_leased(L);
    return query_lua_run(L, leased->postgres, leased, kind, 2);
}

static int l_query(lua_State *L) {
    return run(L, QUERY_ROWS);
}

static int l_one(lua_State *L) {
    return run(L, QUERY_ONE);
}

static int l_exec(lua_State *L) {
    return run(L, QUERY_COUNT);
}

static int l_batch(lua_State *L) {
    return run(L, QUERY_BATCH);
}

static int l_begin(lua_State *L) {
    leased_t *leased = check_leased(L);
    int err = leased_begin(leased, luaL_checkstring(L, 2), luaL_checkstring(L, 3));
    if (err) return await_push_error(L, err, NULL);
    lua_pushboolean(L, true);
    return 1;
}

static int run_or_true(lua_State *L, query_kind_t kind, bool needed) {
    if (needed) return run(L, kind);
    lua_pushboolean(L, true);
    return 1;
}

static int l_start(lua_State *L) {
    lua_settop(L, 2);
    return run_or_true(L, QUERY_START, check_leased(L)->begin != NULL);
}

/* Nothing has happened in a transaction that is still owed. */
static int l_commit(lua_State *L) {
    lua_settop(L, 2);
    leased_t *leased = *check_box(L);
    if (leased && leased->rows) stream_drop(leased->rows);
    return run_or_true(L, QUERY_COMMIT, check_leased(L)->begin == NULL);
}

static int l_rows(lua_State *L) {
    return stream_lua_rows(L, check_leased(L), 2);
}

static int l_copy_in(lua_State *L) {
    return copy_lua_in(L, check_leased(L), 2);
}

static int l_copy_out(lua_State *L) {
    return stream_lua_copy(L, check_leased(L), 2);
}

static int l_close(lua_State *L) {
    leased_t **box = check_box(L);
    leased_t *leased = *box;
    *box = NULL;
    if (!leased) return 0;
    if (leased->rows) stream_drop(leased->rows);
    leased_end(leased, lua_toboolean(L, 2));
    leased_drop(leased);
    return 0;
}

static int l_gc(lua_State *L) {
    lua_settop(L, 1);
    return l_close(L);
}

void lease_handle_open(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"begin", l_begin}, {"start", l_start}, {"query", l_query},
        {"one", l_one}, {"exec", l_exec}, {"batch", l_batch}, {"commit", l_commit},
        {"rows", l_rows}, {"copy_in", l_copy_in}, {"copy_out", l_copy_out}, {"close", l_close},
        {NULL, NULL}};
    luaL_newmetatable(L, CONNECTION);
    lua_pushcfunction(L, l_gc);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_register(L, NULL, METHODS);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
