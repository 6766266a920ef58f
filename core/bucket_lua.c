/* bucket_lua.c: one question of the gate's kind, for a bucket alone, as a script's wait. */
#include "bucket_lua.h"
#include <math.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/native.h"

#define WHOLE_MOST 9007199254740992.0

typedef struct op {
    await_t await;
    const cache_ops_t *ops;
    cache_gate_t gate;
} op_t;

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static int push_taken(await_t *await, lua_State *L) {
    lua_pushnumber(L, (lua_Number)op_of(await)->gate.ahead_us);
    return 1;
}

static void cancel(await_t *await) {
    op_of(await)->ops->gate_cancel(&op_of(await)->gate);
    await_finish(await);
}

static void release(await_t *await) {
    free(op_of(await));
}

static const await_ops_t TAKE = {push_taken, cancel, release, "bucket.take"};

static void on_taken(cache_gate_t *gate) {
    op_t *op = gate->data;
    if (gate->rate_err)
        await_fail(&op->await, gate->rate_err, NULL);
    else
        await_finish(&op->await);
}

static span_t check_text(lua_State *L, int index) {
    span_t text;
    text.ptr = luaL_checklstring(L, index, &text.len);
    luaL_argcheck(L, text.len > 0, index, "is empty");
    return text;
}

static bool whole(double number) {
    return number >= 1 && number <= WHOLE_MOST && number == floor(number);
}

static int l_take(lua_State *L) {
    const cache_ops_t *ops = lua_touserdata(L, lua_upvalueindex(1));
    cache_gate_t gate = {.tenant = check_text(L, 1), .bucket = check_text(L, 2), .alone = true};
    double interval = luaL_checknumber(L, 3), capacity = luaL_checknumber(L, 4);
    if (!whole(interval) || !whole(capacity) || capacity < interval)
        return await_push_error(L, ERR_INVALID, "a bucket holds one interval or more");
    op_t *op = calloc(1, sizeof *op);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    gate.interval_us = (uint64_t)interval;
    gate.capacity_us = (uint64_t)capacity;
    gate.done = on_taken;
    gate.data = op;
    op->ops = ops;
    op->gate = gate;
    await_begin(L, &op->await, &TAKE, 0);
    int err = ops->gate(ops->engine, &op->gate);
    if (err) await_fail(&op->await, err, NULL);
    return await_park(L, &op->await);
}

static int install(lua_State *L) {
    static const luaL_Reg FUNCTIONS[] = {{"take", l_take}, {NULL, NULL}};
    native_module(L, "bucket", FUNCTIONS, lua_touserdata(L, 1));
    return 0;
}

int bucket_lua_open(vm_t *vm, const cache_ops_t *ops) {
    char error[256];
    return vm_protect(vm, install, (void *)ops, error, sizeof error);
}
