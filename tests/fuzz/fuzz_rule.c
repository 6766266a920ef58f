/* fuzz_rule.c: any bytes as a pricing.lua: refused or run to a named end within a small budget; no crash, no hang. */
#include <stdint.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/sandbox.h"

#define CALLS 200 /* of one VM; then a fresh one, as after any fault of memory */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static loop_t *loop;
static sandbox_t *sandbox;
static int calls;

static sandbox_t *fresh(void) {
    sandbox_limits_t limits;
    sandbox_limits_default(&limits);
    limits.time_ms = 1000000; /* the count of instructions ends it, the same on every machine */
    limits.instructions = 20000;
    limits.memory = (size_t)1 << 20;
    limits.allocated = (uint64_t)4 << 20;
    if (!loop) loop = loop_new();
    sandbox_delete(sandbox);
    calls = 0;
    return sandbox_new(loop, &limits, NULL, NULL);
}

/* {items = {{price = 1999, quantity = 3, name = "a name"}}}, {customer = {group = "guest"}} */
static int push(lua_State *L, void *data) {
    (void)data;
    lua_newtable(L);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushnumber(L, 1999);
    lua_setfield(L, -2, "price");
    lua_pushnumber(L, 3);
    lua_setfield(L, -2, "quantity");
    lua_pushliteral(L, "a name");
    lua_setfield(L, -2, "name");
    lua_rawseti(L, -2, 1);
    lua_setfield(L, -2, "items");
    lua_newtable(L);
    lua_newtable(L);
    lua_pushliteral(L, "guest");
    lua_setfield(L, -2, "group");
    lua_setfield(L, -2, "customer");
    return 2;
}

/* Packs the result as the engine does. */
static int take(lua_State *L, void *data, sandbox_fault_t *fault) {
    static const value_limits_t limits = {.depth = 8, .nodes = 2000, .bytes = 65536};
    arena_t arena;
    value_t value;
    (void)data;
    arena_create(&arena);
    int err =
        value_pack(L, lua_gettop(L), &arena, &limits, &value, fault->text, sizeof fault->text);
    arena_destroy(&arena);
    return err;
}

static void call(int ref) {
    sandbox_fault_t fault;
    sandbox_usage_t usage;
    sandbox_begin(sandbox, 1);
    int err = sandbox_call(sandbox, ref, push, take, NULL, &fault);
    sandbox_end(sandbox, &usage);
    if (err != fault.err || (err && !fault.text[0])) abort();
    luaL_unref(sandbox_vm(sandbox)->L, LUA_REGISTRYINDEX, ref);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ref;
    sandbox_fault_t fault;
    if (!sandbox || sandbox_spent(sandbox) || ++calls > CALLS) sandbox = fresh();
    if (!sandbox) abort();
    int err =
        sandbox_load(sandbox, (span_t){(const char *)data, size}, "pricing.lua", &ref, &fault);
    if (!err)
        call(ref);
    else if (err != fault.err || !fault.text[0])
        abort();
    return 0;
}
