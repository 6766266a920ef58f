/* vm.c: creates LuaJIT states on a counting allocator, calls into them protected, and interrupts hot loops. */
#include "lua/vm.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "lua/blocks.h"
#include "lua/task.h"

static int64_t fail_next = -1;

void vm_fail_next(int64_t allocations) {
    fail_next = allocations;
}

static bool may_grow(vm_t *vm, size_t more) {
    if (vm->limit != 0 && (more > vm->limit || vm->used > vm->limit - more)) return false;
    if (vm->fail_after < 0) return true;
    if (vm->fail_after == 0) return false;
    vm->fail_after--;
    return true;
}

void *vm_allocate(void *data, void *ptr, size_t old, size_t size) {
    vm_t *vm = data;
    if (size == 0) {
        if (ptr != NULL) blocks_free(ptr, old);
        vm->used -= old;
        return NULL;
    }
    void *fresh = NULL;
    if (size <= old || may_grow(vm, size - old))
        fresh = ptr != NULL ? blocks_resize(ptr, old, size) : blocks_new(size);
    if (fresh == NULL) {
        vm->starved = true;
        return NULL;
    }
    vm->used = vm->used - old + size;
    if (size > old) vm->charged += size - old;
    return fresh;
}

/* Reached only when the server itself touched Lua unprotected: going on would run with a broken state. */
static int panic(lua_State *L) {
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "perigee: unprotected Lua error: %s\n", text != NULL ? text : "(no text)");
    abort();
}

/* The function and its data travel in the VM and not as arguments: a light userdata or a closure could need memory,
   and nothing here is protected yet. */
static int trampoline(lua_State *L) {
    vm_t *vm = vm_of(L);
    vm_fn fn = vm->call_fn;
    return fn(L, vm->call_data);
}

void vm_error_text(lua_State *L, int index) {
    static const char *const fields[] = {"detail", "message"};
    lua_pushvalue(L, index);
    if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER) {
        lua_tostring(L, -1);
        return;
    }
    for (size_t i = 0; lua_istable(L, -1) && i < 2; i++) {
        lua_pushstring(L, fields[i]);
        lua_rawget(L, -2);
        if (lua_type(L, -1) == LUA_TSTRING) {
            lua_remove(L, -2);
            return;
        }
        lua_pop(L, 1);
    }
    const char *type = luaL_typename(L, -1);
    lua_pop(L, 1);
    lua_pushfstring(L, "(error object is a %s value)", type);
}

static int add_traceback(lua_State *L) {
    vm_error_text(L, 1);
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    return 1;
}

static int prepare(lua_State *L) {
    vm_t *vm = vm_of(L);
    lua_pushcfunction(L, trampoline);
    vm->trampoline = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(L, add_traceback);
    vm->traceback = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

int vm_create(vm_t *vm, loop_t *loop, size_t limit) {
    memset(vm, 0, sizeof *vm);
    vm->loop = loop;
    vm->limit = limit;
    vm->fail_after = fail_next;
    list_init(&vm->idle);
    vm->L = lua_newstate(vm_allocate, vm);
    if (vm->L == NULL) return ERR_NO_MEMORY;
    lua_atpanic(vm->L, panic);
    if (lua_cpcall(vm->L, prepare, NULL) == 0) return 0;
    lua_close(vm->L);
    vm->L = NULL;
    return ERR_NO_MEMORY;
}

void vm_destroy(vm_t *vm) {
    assert(vm->children == 0 && vm->depth == 0);
    task_drop_idle(vm);
    if (vm->L != NULL) lua_close(vm->L);
    vm->L = NULL;
    /* After a failed allocation the engine may free a half-made closure by less than its size: everything is given
       back, but not counted. */
    assert(vm->used == 0 || vm->starved);
}

vm_t *vm_of(lua_State *L) {
    void *data;
    lua_getallocf(L, &data);
    return data;
}

int vm_call(lua_State *L, vm_fn fn, void *data) {
    vm_t *vm = vm_of(L);
    vm->call_fn = fn;
    vm->call_data = data;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->trampoline);
    return lua_pcall(L, 0, LUA_MULTRET, 0);
}

typedef struct protect {
    lua_CFunction fn;
    void *data;
} protect_t;

static int run_protected(lua_State *L, void *data) {
    protect_t *call = data;
    lua_pushlightuserdata(L, call->data);
    return call->fn(L);
}

static void report(lua_State *L, char *error, size_t size) {
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "not enough memory";
    if (size > 0) snprintf(error, size, "%s", text);
}

int vm_protect(vm_t *vm, lua_CFunction fn, void *data, char *error, size_t size) {
    lua_State *L = vm->L;
    int top = lua_gettop(L);
    protect_t call = {fn, data};
    vm_enter(vm);
    vm->call_fn = run_protected;
    vm->call_data = &call;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->traceback);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->trampoline);
    int status = lua_pcall(L, 0, 0, top + 1);
    vm_leave(vm);
    if (status != 0) report(L, error, size);
    lua_settop(L, top);
    if (status == 0) return 0;
    return status == LUA_ERRRUN ? ERR_RULE_ERROR : ERR_NO_MEMORY;
}

void vm_enter(vm_t *vm) {
    if (vm->depth == 0) vm->entered = (vm->entered + 1) & 0xffffff;
    vm->depth++;
}

/* The depth falls first: from then on a signal finds no Lua to interrupt, so the hook taken off here stays off. */
void vm_leave(vm_t *vm) {
    vm->depth--;
    if (vm->depth > 0 || !vm->interrupted) return;
    vm->interrupted = 0;
    lua_sethook(vm->L, NULL, 0, 0);
}

/* Stays armed: a pcall that catches the error gets no further than its next instruction. */
static void raise_interrupt(lua_State *L, lua_Debug *activation) {
    (void)activation;
    luaL_where(L, 0);
    lua_pushstring(L, vm_of(L)->interrupt_text);
    lua_concat(L, 2);
    lua_error(L);
}

bool vm_interrupt(vm_t *vm, const char *message) {
    if (!vm->trusted || vm->depth == 0) return false;
    vm->interrupt_text = message;
    vm->interrupted = 1;
    lua_sethook(vm->L, raise_interrupt, LUA_MASKCOUNT, 1);
    return true;
}
