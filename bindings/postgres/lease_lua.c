/* lease_lua.c: gets a connection from the pool, runs a script's statements on it, and gives it back. */
#include "postgres/lease_lua.h"
#include "base/err.h"
#include "lua/await.h"
#include "lua/native.h"
#include "postgres/copy_lua.h"
#include "postgres/query_lua.h"
#include "postgres/stream_lua.h"

int lease_handle_get(lua_State *L, postgres_t *postgres) {
    query_options_t options;
    query_options_check(L, 1, &options);
    leased_t *leased = leased_new(postgres, options.tenant);
    if (!leased) return await_push_error(L, ERR_NO_MEMORY, NULL);
    return holder_wait(L, &leased->holder);
}

/* The methods */

static leased_t *check_leased(lua_State *L) {
    leased_t *leased = LIST_OWNER(holder_check(L, LEASED_KIND), leased_t, holder);
    if (leased->rows)
        luaL_error(L, "rows are still being read on this connection: read them all or close them");
    return leased;
}

static void drop_rows(lua_State *L) {
    holder_t *holder = holder_at(L, LEASED_KIND);
    leased_t *leased = holder ? LIST_OWNER(holder, leased_t, holder) : NULL;
    if (leased && leased->rows) stream_drop(leased->rows);
}

static int run(lua_State *L, query_kind_t kind) {
    leased_t *leased = check_leased(L);
    return query_lua_run(L, leased->holder.engine, leased, kind, 2);
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
    drop_rows(L);
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
    drop_rows(L);
    return holder_close(L, LEASED_KIND);
}

void lease_handle_open(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"begin", l_begin}, {"start", l_start}, {"query", l_query},
        {"one", l_one}, {"exec", l_exec}, {"batch", l_batch}, {"commit", l_commit},
        {"rows", l_rows}, {"copy_in", l_copy_in}, {"copy_out", l_copy_out}, {"close", l_close},
        {NULL, NULL}};
    native_kind(L, LEASED_KIND, METHODS, l_close);
}
