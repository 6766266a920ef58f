/* postgres_lua.c: the module postgres.native: query, one, exec, batch, lease, listen, the marks, the metrics. */
#include "postgres/postgres_lua.h"
#include <lauxlib.h>
#include "base/err.h"
#include "lua/inbox.h"
#include "lua/native.h"
#include "postgres/copy_lua.h"
#include "postgres/lease_lua.h"
#include "postgres/listen_lua.h"
#include "postgres/mark.h"
#include "postgres/query_lua.h"
#include "postgres/stream_lua.h"

static postgres_t *engine_of(lua_State *L) {
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* query(options, sql, …) → rows */
static int l_query(lua_State *L) {
    return query_lua_run(L, engine_of(L), NULL, QUERY_ROWS, 1);
}

static int l_one(lua_State *L) {
    return query_lua_run(L, engine_of(L), NULL, QUERY_ONE, 1);
}

static int l_exec(lua_State *L) {
    return query_lua_run(L, engine_of(L), NULL, QUERY_COUNT, 1);
}

/* batch(options, { { sql, … }, … }) → results */
static int l_batch(lua_State *L) {
    return query_lua_run(L, engine_of(L), NULL, QUERY_BATCH, 1);
}

static int l_lease(lua_State *L) {
    return lease_handle_get(L, engine_of(L));
}

static int l_listen(lua_State *L) {
    return listen_lua_new(L, engine_of(L));
}

static void put_number(lua_State *L, const char *name, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

/* lag() → { bytes, ms }: how far the replica is behind; nil while that is not known. */
static int l_lag(lua_State *L) {
    postgres_lag_t lag = postgres_lag(engine_of(L));
    if (!lag.known) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 2);
    put_number(L, "bytes", (double)lag.bytes);
    put_number(L, "ms", (double)lag.ms);
    return 1;
}

/* counts() → what the driver counts, and `up`: whether a shared connection is open. */
static int l_counts(lua_State *L) {
    postgres_counts_t counts = postgres_counts(engine_of(L));
    lua_createtable(L, 0, 10);
    put_number(L, "queries", (double)counts.queries);
    put_number(L, "leased", counts.leased);
    put_number(L, "idle", counts.idle);
    put_number(L, "opening", counts.opening);
    put_number(L, "cleaning", counts.cleaning);
    put_number(L, "waiting", (double)counts.waiting);
    put_number(L, "cancels", (double)counts.cancels);
    put_number(L, "connects", (double)counts.connects);
    put_number(L, "losses", (double)counts.losses);
    lua_pushboolean(L, postgres_up(engine_of(L)));
    lua_setfield(L, -2, "up");
    return 1;
}

static void push_sum(lua_State *L, const waited_sum_t *sum) {
    lua_createtable(L, 0, 5);
    lua_pushstring(L, sum->name);
    lua_setfield(L, -2, "transaction");
    lua_pushstring(L, sum->longest_on);
    lua_setfield(L, -2, "longest_on");
    put_number(L, "count", (double)sum->count);
    put_number(L, "total_ms", (double)sum->total_ns / 1e6);
    put_number(L, "longest_ms", (double)sum->longest_ns / 1e6);
}

/* waited() → what transactions waited on anything but PostgreSQL while they were open, the longest first. */
static int l_waited(lua_State *L) {
    size_t count;
    const waited_sum_t *sums = waited_sums(&count);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        push_sum(L, &sums[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

static int install(lua_State *L) {
    static const luaL_Reg FUNCTIONS[] = {{"query", l_query}, {"one", l_one}, {"exec", l_exec},
        {"batch", l_batch}, {"lease", l_lease}, {"listen", l_listen}, {"lag", l_lag},
        {"counts", l_counts}, {"waited", l_waited}, {"array", mark_l_array}, {"json", mark_l_json},
        {"bytes", mark_l_bytes}, {NULL, NULL}};
    mark_open(L);
    inbox_open(L);
    lease_handle_open(L);
    stream_lua_open(L);
    copy_lua_open(L);
    native_module(L, "postgres.native", FUNCTIONS, lua_touserdata(L, 1));
    return 0;
}

int postgres_lua_open(vm_t *vm, postgres_t *postgres) {
    char error[256];
    return postgres ? vm_protect(vm, install, postgres, error, sizeof error) : 0;
}
