/* signal.c: a list of waits that end together. */
#include "lua/signal.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/list.h"
#include "lua/await.h"
#include "lua/native.h"

#define SIGNAL "perigee.signal"
#define WAIT_MOST_MS 3600000

/* The list's head is in the userdata. A yield takes the arguments off the stack, so that the userdata may be collected
   while tasks wait: see l_gc. */
typedef struct op {
    await_t await;
    list_t node;
} op_t;

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static int push(await_t *await, lua_State *L) {
    (void)await;
    lua_pushboolean(L, true);
    return 1;
}

static void cancel(await_t *await) {
    list_remove(&op_of(await)->node);
    await_finish(await);
}

static void release(await_t *await) {
    free(op_of(await));
}

static const await_ops_t WAIT = {push, cancel, release, "signal.wait"};

static list_t *check_waiting(lua_State *L) {
    return luaL_checkudata(L, 1, SIGNAL);
}

static int l_wait(lua_State *L) {
    list_t *waiting = check_waiting(L);
    lua_Number ms = luaL_checknumber(L, 2);
    luaL_argcheck(L, ms >= 1 && ms <= WAIT_MOST_MS, 2, "milliseconds up to an hour expected");
    op_t *op = calloc(1, sizeof *op);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    await_begin(L, &op->await, &WAIT, (uint64_t)ms);
    list_push(waiting, &op->node);
    return await_park(L, &op->await);
}

/* Whoever waits runs on at the end of this turn, never inside of this call. */
static int l_fire(lua_State *L) {
    list_t *waiting = check_waiting(L);
    for (list_t *node; (node = list_shift(waiting));)
        await_finish(&LIST_OWNER(node, op_t, node)->await);
    return 0;
}

/* Nobody can fire it any more: whoever waits is let out of the list, and its wait ends at its time. */
static int l_gc(lua_State *L) {
    list_t *waiting = check_waiting(L);
    while (list_shift(waiting))
        ;
    return 0;
}

static int l_new(lua_State *L) {
    list_init(lua_newuserdata(L, sizeof(list_t)));
    luaL_getmetatable(L, SIGNAL);
    lua_setmetatable(L, -2);
    return 1;
}

int luaopen_signal(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"wait", l_wait}, {"fire", l_fire}, {NULL, NULL}};
    native_kind(L, SIGNAL, METHODS, l_gc);
    lua_newtable(L);
    lua_pushcfunction(L, l_new);
    lua_setfield(L, -2, "new");
    return 1;
}
