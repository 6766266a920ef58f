/* redis_lua.c: the module redis.native: call, replica, within, pipeline, lease, subscribe, sha1. */
#include "redis/redis_lua.h"
#include <openssl/evp.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/inbox.h"
#include "lua/native.h"
#include "redis/call_lua.h"
#include "redis/lease_lua.h"
#include "redis/subscription_lua.h"

#define WITHIN_MOST_MS 3600000

static redis_t *engine_of(lua_State *L) {
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* call(name, …) → answer */
static int l_call(lua_State *L) {
    redis_target_t target = {.redis = engine_of(L)};
    return call_lua_one(L, &target, 1);
}

/* The same, where a replica may answer: a value that is a little older will do. */
static int l_replica(lua_State *L) {
    redis_target_t target = {.redis = engine_of(L), .replica = true};
    return call_lua_one(L, &target, 1);
}

/* within(ms, replica, name, …): the same in so much time, where the answer is worth no more; a replica may give it. */
static int l_within(lua_State *L) {
    double wait = luaL_checknumber(L, 1);
    luaL_argcheck(L, wait >= 1 && wait <= WITHIN_MOST_MS, 1, "is no time");
    redis_target_t target = {
        .redis = engine_of(L), .replica = lua_toboolean(L, 2), .wait_ms = (uint64_t)wait};
    return call_lua_one(L, &target, 3);
}

/* pipeline({ { name, … }, … }) → answers */
static int l_pipeline(lua_State *L) {
    redis_target_t target = {.redis = engine_of(L)};
    return call_lua_many(L, &target, 1);
}

static int l_lease(lua_State *L) {
    return lease_lua_get(L, engine_of(L));
}

static int l_subscribe(lua_State *L) {
    return subscription_lua_new(L, engine_of(L));
}

/* sha1(text) → 40 hex digits: the name by which a server knows a script. */
static int l_sha1(lua_State *L) {
    size_t len;
    unsigned count = 0;
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    const char *text = luaL_checklstring(L, 1, &len);
    if (!EVP_Digest(text, len, digest, &count, EVP_sha1(), NULL))
        return await_push_error(L, ERR_NO_MEMORY, NULL);
    for (unsigned i = 0; i < count; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    lua_pushlstring(L, hex, 2 * count);
    return 1;
}

static int install(lua_State *L) {
    static const luaL_Reg FUNCTIONS[] = {{"call", l_call}, {"replica", l_replica},
        {"within", l_within}, {"pipeline", l_pipeline}, {"lease", l_lease},
        {"subscribe", l_subscribe}, {"sha1", l_sha1}, {NULL, NULL}};
    lease_lua_open(L);
    inbox_open(L);
    native_module(L, "redis.native", FUNCTIONS, lua_touserdata(L, 1));
    return 0;
}

int redis_lua_open(vm_t *vm, redis_t *redis) {
    char error[256];
    return redis ? vm_protect(vm, install, redis, error, sizeof error) : 0;
}
