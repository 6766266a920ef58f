/* lease_lua.c: gets a connection from the pool, runs a script's commands on it, and gives it back. */
#include "redis/lease_lua.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/task.h"
#include "redis/call_lua.h"

#define CONNECTION "perigee.redis.connection"
#define WAIT_MOST_MS 3600000

/* The names lie behind it. */
typedef struct leased {
    redis_t *redis;
    redis_lease_t lease;
    bool held;        /* redis_lease has begun and redis_lease_end has not come */
    task_bond_t bond; /* who is cancelled cannot close it, and the collector may take its time */
    char names[];
} leased_t;

typedef struct op {
    await_t await;
    leased_t *leased; /* until a script has it */
} op_t;

static void give_back(leased_t *leased, bool clean) {
    task_unbind(&leased->bond);
    if (leased->held) redis_lease_end(&leased->lease, clean);
    leased->held = false;
}

static void on_task_ended(task_bond_t *bond) {
    give_back(LIST_OWNER(bond, leased_t, bond), false);
}

static void leased_delete(leased_t *leased, bool clean) {
    if (!leased) return;
    give_back(leased, clean);
    free(leased);
}

static leased_t *leased_new(redis_t *redis, span_t tenant, span_t key) {
    leased_t *leased = calloc(1, sizeof *leased + tenant.len + key.len + 1);
    if (!leased) return NULL;
    leased->redis = redis;
    leased->bond.ended = on_task_ended;
    list_init(&leased->bond.node);
    memcpy(leased->names, tenant.ptr, tenant.len);
    memcpy(leased->names + tenant.len, key.ptr, key.len);
    leased->lease.tenant = (span_t){leased->names, tenant.len};
    leased->lease.key = (span_t){leased->names + tenant.len, key.len};
    return leased;
}

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static void on_got(redis_lease_t *lease) {
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
    op_t *op = op_of(await);
    give_back(op->leased, false);
    await_finish(await);
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    leased_delete(op->leased, false);
    free(op);
}

static const await_ops_t LEASE = {push, cancel, release, "redis.connection"};

int lease_lua_get(lua_State *L, redis_t *redis) {
    span_t tenant, key;
    tenant.ptr = luaL_checklstring(L, 1, &tenant.len);
    key.ptr = luaL_checklstring(L, 2, &key.len);
    op_t *op = calloc(1, sizeof *op);
    if (op) op->leased = leased_new(redis, tenant, key);
    if (!op || !op->leased) {
        free(op);
        return await_push_error(L, ERR_NO_MEMORY, NULL);
    }
    await_begin(L, &op->await, &LEASE, 0);
    op->leased->lease.got = on_got;
    op->leased->lease.data = op;
    int err = redis_lease(redis, &op->leased->lease);
    op->leased->held = err == 0;
    if (!err) task_bind(L, &op->leased->bond);
    if (err) await_fail(&op->await, err, op->leased->lease.detail);
    return await_park(L, &op->await);
}

static leased_t **check_box(lua_State *L) {
    return luaL_checkudata(L, 1, CONNECTION);
}

static redis_target_t check_target(lua_State *L) {
    leased_t *leased = *check_box(L);
    if (!leased || !leased->held) luaL_error(L, "the connection has been given back");
    return (redis_target_t){.redis = leased->redis, .lease = &leased->lease};
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
    leased_t **box = check_box(L);
    leased_t *leased = *box;
    *box = NULL;
    leased_delete(leased, lua_toboolean(L, 2));
    return 0;
}

/* A script that lost it half way has left who knows what on it. */
static int l_gc(lua_State *L) {
    lua_settop(L, 1);
    return l_close(L);
}

void lease_lua_open(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"call", l_call}, {"wait", l_wait}, {"pipeline", l_pipeline},
        {"close", l_close}, {NULL, NULL}};
    luaL_newmetatable(L, CONNECTION);
    lua_pushcfunction(L, l_gc);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_register(L, NULL, METHODS);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
