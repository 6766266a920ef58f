/* driver.h: a driver whose operations the test finishes by hand, as the Lua function `op(name, timeout_ms)`. */
#ifndef PERIGEE_TEST_LUA_DRIVER_H
#define PERIGEE_TEST_LUA_DRIVER_H
#include "lua/bench.h"

typedef enum { OP_LATER, OP_AT_ONCE, OP_REFUSED, OP_CANCEL_FINISHES } op_kind_t;
typedef struct op {
    await_t await;
    op_kind_t kind;
    int value; /* what it answers; below 0 its push raises */
} op_t;

/* The driver's books. `last` is the operation that it works on. */
static struct {
    op_t *last;
    op_t *first[8]; /* the first ones that began */
    int begun, cancelled, released, pushed;
} driver;

static inline int op_push(await_t *await, lua_State *L) {
    op_t *op = LIST_OWNER(await, op_t, await);
    driver.pushed++;
    if (op->value < 0) luaL_error(L, "the result is broken");
    lua_pushinteger(L, op->value);
    lua_pushliteral(L, "second");
    return 2;
}

static inline void op_cancel(await_t *await) {
    op_t *op = LIST_OWNER(await, op_t, await);
    driver.cancelled++;
    if (op->kind == OP_CANCEL_FINISHES) await_finish(await);
}

static inline void op_release(await_t *await) {
    driver.released++;
    if (driver.last == LIST_OWNER(await, op_t, await)) driver.last = NULL;
    free(LIST_OWNER(await, op_t, await));
}

static const await_ops_t op_ops = {op_push, op_cancel, op_release, "test.op"};

static inline int l_op(lua_State *L) {
    static const char *const names[] = {"later", "at_once", "refused", "cancel_finishes", NULL};
    int kind = luaL_checkoption(L, 1, "later", names);
    uint64_t timeout_ms = (uint64_t)luaL_optint(L, 2, 0);
    int value = luaL_optint(L, 3, 7);
    op_t *op = calloc(1, sizeof *op);
    op->kind = (op_kind_t)kind;
    op->value = value;
    await_begin(L, &op->await, &op_ops, timeout_ms);
    if (driver.begun < 8) driver.first[driver.begun] = op;
    driver.begun++;
    driver.last = op;
    if (kind == OP_AT_ONCE) await_finish(&op->await);
    if (kind == OP_REFUSED) await_fail(&op->await, ERR_BUSY, "the queue is full");
    return await_park(L, &op->await);
}

static inline int driver_open(void **state) {
    bench_open(state);
    memset(&driver, 0, sizeof driver);
    lua_State *L = ((bench_t *)*state)->vm->L;
    lua_pushcfunction(L, l_op);
    lua_setglobal(L, "op");
    return 0;
}

/* Whatever has begun has been released, once. A refused wait is released without having begun. */
static inline int driver_close(void **state) {
    assert_true(driver.released >= driver.begun);
    return bench_close(state);
}

#endif
