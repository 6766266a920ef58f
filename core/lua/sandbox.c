/* sandbox.c: creates a tenant's VM, loads its files as text, and calls them within one budget, each time afresh. */
#include "lua/sandbox_own.h"
#include <luajit.h>
#include <stdio.h>
#include <stdlib.h>

#define HASH_NODE 24                            /* bytes of one field in the engine's hash part */
#define HASH_REFUSED ((size_t)HASH_NODE * 8192) /* a hash part of more than 4,096 fields */
#define NEW_MAX (SANDBOX_STRING_MAX + 64)       /* a text of 256 KB and its header */
#define GROWN_MAX ((size_t)66000 * 8) /* the stack at its own limit; a list of 65,536 values */
#define LARGE ((size_t)32 * 1024)
#define GROWN_MUCH ((size_t)512 * 1024)

void sandbox_limits_default(sandbox_limits_t *limits) {
    *limits = (sandbox_limits_t){.time_ms = 10,
        .instructions = 10000000,
        .memory = (size_t)4 * 1024 * 1024,
        .allocated = (uint64_t)64 * 1024 * 1024,
        .source = (size_t)64 * 1024};
}

/* The engine rehashes a table in one go, and numbers as keys can be chosen to collide: above 4,096 fields that
   holds the loop too long, and no hook comes. A hash part has one of few sizes, which is how it is told from a
   text; a text of exactly 196,580 to 196,583 bytes is refused with it. */
static bool too_large(size_t old, size_t size) {
    if (old != 0) return size > GROWN_MAX;
    return size > NEW_MAX || size == HASH_REFUSED;
}

static void *allocate(void *data, void *ptr, size_t old, size_t size) {
    sandbox_t *sandbox = data;
    if (size <= old) return vm_allocate(data, ptr, old, size);
    void *fresh = size > LARGE && too_large(old, size) ? NULL : vm_allocate(data, ptr, old, size);
    if (!fresh) {
        sandbox->vm.starved = true;
        sandbox->spent = true;
        if (sandbox->budget && !sandbox->budget->err) sandbox->budget->err = ERR_BUDGET_MEMORY;
    } else if (size > LARGE) {
        budget_tighten(sandbox);
    }
    return fresh;
}

static int open_environment(lua_State *L, void *data) {
    (void)data;
    sandbox_env_open(L);
    return 0;
}

static int collect(lua_State *L, void *data) {
    (void)data;
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

/* A full collection may resize the engine's tables, and so fail: it runs protected like everything else. */
static void collect_all(sandbox_t *sandbox) {
    lua_State *L = sandbox->vm.L;
    int top = lua_gettop(L);
    vm_call(L, collect, NULL);
    lua_settop(L, top);
    sandbox->floor = sandbox->vm.used;
}

/* The count hook does not fire in compiled code, so nothing may ever be compiled. The jit library, which could
   turn the compiler on, is never opened. */
static void interpret_only(lua_State *L) {
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
}

static int open_state(sandbox_t *sandbox) {
    lua_State *L = sandbox->vm.L;
    lua_setallocf(L, allocate, sandbox);
    interpret_only(L);
    if (vm_call(L, open_environment, NULL) != 0) return ERR_NO_MEMORY;
    lua_settop(L, 0);
    collect_all(sandbox);
    return sandbox->spent ? ERR_NO_MEMORY : 0;
}

sandbox_t *sandbox_new(loop_t *loop, const sandbox_limits_t *limits,
    void (*tail)(void *data, span_t line), void *data) {
    sandbox_t *sandbox = calloc(1, sizeof *sandbox);
    if (!sandbox) return NULL;
    sandbox->limits = *limits;
    sandbox->tail = tail;
    sandbox->tail_data = data;
    list_init(&sandbox->visits);
    if (vm_create(&sandbox->vm, loop, limits->memory) != 0) {
        free(sandbox);
        return NULL;
    }
    if (open_state(sandbox) == 0) return sandbox;
    sandbox_delete(sandbox);
    return NULL;
}

void sandbox_delete(sandbox_t *sandbox) {
    if (!sandbox) return;
    vm_destroy(&sandbox->vm);
    free(sandbox);
}

vm_t *sandbox_vm(sandbox_t *sandbox) {
    return &sandbox->vm;
}

bool sandbox_spent(const sandbox_t *sandbox) {
    return sandbox->spent;
}

/* Compiles; the function's reference goes to call.ref. */
static int compile(lua_State *L, void *data) {
    sandbox_call_t *call = data;
    lua_pushfstring(L, "@%s", call->file);
    call->err = luaL_loadbufferx(L, call->text.ptr, call->text.len, lua_tostring(L, -1), "t");
    if (call->err == 0) call->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 1;
}

/* A number like 1LL made the engine open its ffi library in this VM, which is poisoned by it: it counts as spent.
   */
static int find_ffi(lua_State *L, void *data) {
    bool *found = data;
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_pushnil(L);
    *found = lua_next(L, -2) != 0;
    return 0;
}

static bool poisoned(sandbox_t *sandbox) {
    lua_State *L = sandbox->vm.L;
    bool found = false;
    if (vm_call(L, find_ffi, &found) != 0) return true;
    return found;
}

/* The first byte tells bytecode and a '#' line, which the loader would skip, from text. */
static int refuse(const sandbox_t *sandbox, span_t text, const char *file, sandbox_fault_t *fault) {
    size_t mark = text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (text.len > sandbox->limits.source)
        sandbox_fault_set(fault, ERR_TOO_LARGE, file, "the file is longer than 64 KB");
    else if (text.len > mark && text.ptr[mark] == 0x1b)
        sandbox_fault_set(fault, ERR_FORBIDDEN, file, "the file is bytecode, not text");
    else if (text.len > mark && text.ptr[mark] == '#')
        sandbox_fault_set(fault, ERR_FORBIDDEN, file, "the file must not begin with '#'");
    else
        return 0;
    return fault->err;
}

static int load_fault(
    sandbox_t *sandbox, int status, int syntax, const char *file, sandbox_fault_t *fault) {
    lua_State *L = sandbox->vm.L;
    if (status == LUA_ERRMEM || syntax == LUA_ERRMEM) {
        sandbox_fault_set(fault, ERR_BUDGET_MEMORY, file, err_text(ERR_BUDGET_MEMORY));
        return fault->err;
    }
    if (lua_type(L, -1) == LUA_TSTRING)
        sandbox_fault_text(sandbox, lua_tostring(L, -1), fault);
    else
        sandbox_fault_set(fault, 0, file, err_text(ERR_SYNTAX));
    fault->err = ERR_SYNTAX;
    if (!fault->file[0]) snprintf(fault->file, sizeof fault->file, "%s", file);
    return fault->err;
}

int sandbox_load(
    sandbox_t *sandbox, span_t text, const char *file, int *ref, sandbox_fault_t *fault) {
    lua_State *L = sandbox->vm.L;
    int top = lua_gettop(L), err = 0;
    *ref = LUA_NOREF;
    if (refuse(sandbox, text, file, fault) != 0) return fault->err;
    sandbox_call_t call = {.text = text, .file = file};
    int status = vm_call(L, compile, &call);
    if (status != 0 || call.err != 0) {
        err = load_fault(sandbox, status, call.err, file, fault);
    } else if (poisoned(sandbox)) {
        sandbox->spent = true;
        err = ERR_FORBIDDEN;
        sandbox_fault_set(fault, err, file, "numbers that end in LL, ULL or i are not allowed");
    } else {
        *ref = call.ref;
    }
    lua_settop(L, top);
    return err;
}

void sandbox_begin(sandbox_t *sandbox, uint64_t seed) {
    budget_create(&sandbox->main, &sandbox->limits);
    sandbox->named = 0;
    lib_math_seed(sandbox, seed);
    budget_enter(sandbox, &sandbox->main);
}

/* Leaves what the chunk returns on the stack: run afresh, with globals of its own. */
void sandbox_run_chunk(lua_State *L, int ref) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    sandbox_env_push(L);
    lua_setfenv(L, -2);
    lua_call(L, 0, 1);
}

static int call_rule(lua_State *L, void *data) {
    sandbox_call_t *call = data;
    sandbox_run_chunk(L, call->ref);
    if (!call->push) {
        call->err = call->take(L, call->data, call->fault);
        return 0;
    }
    if (!lua_isfunction(L, -1)) {
        call->err = ERR_BAD_RESULT;
        call->fault->line = 1;
        snprintf(call->fault->text, sizeof call->fault->text,
            "the file returns a value of type %s instead of a function", luaL_typename(L, -1));
        return 0;
    }
    int nargs = call->push(L, call->data);
    lua_call(L, nargs, 1);
    call->err = call->take(L, call->data, call->fault);
    return 0;
}

/* The name the file was loaded under. */
static void name_file(lua_State *L, int ref, sandbox_fault_t *fault) {
    lua_Debug at;
    if (fault->file[0]) return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    if (lua_isfunction(L, -1) && lua_getinfo(L, ">S", &at))
        snprintf(fault->file, sizeof fault->file, "%s", at.short_src);
}

int sandbox_finish_call(
    sandbox_t *sandbox, int status, sandbox_call_t *call, sandbox_fault_t *fault) {
    lua_State *L = sandbox->vm.L;
    sandbox->depth = sandbox->protects = 0;
    if (status != 0 || sandbox->budget->err)
        sandbox_fault_of(sandbox, L, status, fault);
    else if (call->err)
        fault->err = call->err;
    else
        return 0;
    name_file(L, call->ref, fault);
    return fault->err;
}

int sandbox_call(sandbox_t *sandbox, int ref, int (*push)(lua_State *L, void *data),
    int (*take)(lua_State *L, void *data, sandbox_fault_t *fault), void *data,
    sandbox_fault_t *fault) {
    lua_State *L = sandbox->vm.L;
    int top = lua_gettop(L);
    sandbox_call_t call = {.ref = ref, .push = push, .take = take, .data = data, .fault = fault};
    fault->err = fault->line = 0;
    fault->file[0] = fault->text[0] = 0;
    /* What ended an earlier call of the same budget ends this one. */
    int status = sandbox->budget->err ? 0 : vm_call(L, call_rule, &call);
    int err = sandbox_finish_call(sandbox, status, &call, fault);
    lua_settop(L, top);
    return err;
}

/* Over three quarters of the limit the next call could fail for what this one left, and a collection would hold
   the loop: the owner makes another VM. Below, a heap that has grown is collected whole now, so that the next
   call starts with room. */
void sandbox_tidy(sandbox_t *sandbox) {
    if (sandbox->vm.used > sandbox->limits.memory / 4 * 3)
        sandbox->spent = true;
    else if (!sandbox->spent && sandbox->vm.used > 2 * sandbox->floor + GROWN_MUCH)
        collect_all(sandbox);
}

void sandbox_end(sandbox_t *sandbox, sandbox_usage_t *usage) {
    budget_leave(sandbox);
    uint64_t began = budget_clock_ns();
    size_t used = sandbox->vm.used;
    sandbox_tidy(sandbox);
    if (!usage) return;
    usage->instructions = sandbox->main.instructions;
    usage->nanoseconds = sandbox->main.wall_ns + (budget_clock_ns() - began);
    usage->allocated = sandbox->main.allocated;
    usage->memory = used;
}
