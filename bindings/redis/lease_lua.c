/* lease_lua.c: gets a connection from the pool, runs a script's commands on it, and gives it back. */
#include "redis/lease_lua.h"
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/holder.h"
#include "lua/native.h"
#include "redis/call_lua.h"

#define CONNECTION "perigee.redis.connection"
#define WAIT_MOST_MS 3600000

typedef struct leased {
    holder_t holder;
    char names[]; /* of the tenant, then the key */
} leased_t;

static int begin(holder_t *holder) {
    return redis_lease(holder->engine, &holder->lease);
}

static const holder_ops_t OPS = {.kind = CONNECTION, .name = "redis.connection", .begin = begin};

int lease_lua_get(lua_State *L, redis_t *redis) {
    span_t tenant, key;
    tenant.ptr = luaL_checklstring(L, 1, &tenant.len);
    key.ptr = luaL_checklstring(L, 2, &key.len);
    leased_t *leased = calloc(1, sizeof *leased + tenant.len + key.len + 1);
    if (!leased) return await_push_error(L, ERR_NO_MEMORY, NULL);
    holder_create(&leased->holder, &OPS, redis);
    memcpy(leased->names, tenant.ptr, tenant.len);
    memcpy(leased->names + tenant.len, key.ptr, key.len);
    leased->holder.lease.tenant = (span_t){leased->names, tenant.len};
    leased->holder.lease.key = (span_t){leased->names + tenant.len, key.len};
    return holder_wait(L, &leased->holder);
}

/* The methods */

static redis_target_t check_target(lua_State *L) {
    holder_t *holder = holder_check(L, CONNECTION);
    return (redis_target_t){.redis = holder->engine, .lease = &holder->lease};
}

static int l_call(lua_State *L) {
    redis_target_t target = check_target(L);
    return call_lua_one(L, &target, 2);
}

static int l_wait(lua_State *L) {
    redis_target_t target = check_target(L);
    lua_Number ms = luaL_checknumber(L, 2);
    luaL_argcheck(L, ms >= 1 && ms <= WAIT_MOST_MS, 2, "milliseconds up to an hour expected");
    target.wait_ms = (uint64_t)ms;
    return call_lua_one(L, &target, 3);
}

static int l_pipeline(lua_State *L) {
    redis_target_t target = check_target(L);
    return call_lua_many(L, &target, 2);
}

static int l_close(lua_State *L) {
    return holder_close(L, CONNECTION);
}

void lease_lua_open(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"call", l_call}, {"wait", l_wait}, {"pipeline", l_pipeline},
        {"close", l_close}, {NULL, NULL}};
    native_kind(L, CONNECTION, METHODS, l_close);
}
