/* vm.h: a LuaJIT state with counted memory and a limit, the protected call, and the interrupt of a hot loop. */
#ifndef PERIGEE_LUA_VM_H
#define PERIGEE_LUA_VM_H
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/loop.h"

typedef struct task task_t;
/* Runs protected; returns how many values it leaves on L. */
typedef int (*vm_fn)(lua_State *L, void *data);

/* Shared by trusted and tenant VMs: the allocator and what is counted. Embed it first in a bigger struct. */
typedef struct vm {
    lua_State *L;
    loop_t *loop;
    size_t used;      /* bytes alive */
    size_t limit;     /* allocations beyond it fail; 0 for none */
    uint64_t charged; /* bytes ever allocated */
    int64_t
        fail_after; /* tests: allocations left before every further one fails; negative for never */
    size_t children; /* tasks alive */
    bool trusted;
    bool starved; /* an allocation has failed: `used` may not come down to 0 any more */
    void *user;
    /* The rest is the room's own. */
    task_t *running; /* whose coroutine runs now */
    list_t idle;     /* tasks with a clean coroutine, for reuse */
    size_t idle_count;
    vm_fn call_fn; /* handed to the trampoline of vm_call */
    void *call_data;
    int trampoline, traceback;                     /* registry references */
    int decimal_mt, array_mt, object_mt;           /* the same, 0 until the module is opened */
    const void *decimal_at, *array_at, *object_at; /* the metatables' addresses, for a quick look */
    volatile sig_atomic_t depth;                   /* resumes and protected calls that run now */
    volatile sig_atomic_t entered; /* grows when Lua begins to run, for the watchdog */
    volatile sig_atomic_t interrupted;
    const char *interrupt_text;
} vm_t;

/* Fills memory the caller owns and opens a state without libraries; ERR_NO_MEMORY leaves nothing behind. */
int vm_create(vm_t *vm, loop_t *loop, size_t limit);
/* No task may be alive (children is 0), and nothing of the VM may be running. */
void vm_destroy(vm_t *vm);
vm_t *vm_of(lua_State *L);
/* The lua_Alloc of every VM (data is the vm_t), for who puts checks of its own in front of it. */
void *vm_allocate(void *data, void *ptr, size_t old, size_t size);
/* Tests: every VM created from now on starts with this fail_after; negative ends it. */
void vm_fail_next(int64_t allocations);

/* A trusted VM: all libraries, JIT on, await functions, json, log, package.path from nothing: modules come from
   `loader`, which answers a module's source (owned by the edition, alive as long as the VM) or false. */
typedef struct vm_source {
    const char *text;
    size_t len;
    const char *name; /* chunk name: "@scripts/api/products.lua" */
} vm_source_t;
typedef bool (*vm_loader)(void *data, const char *module, vm_source_t *out);
vm_t *vm_new_trusted(loop_t *loop, vm_loader loader, void *data); /* NULL when out of memory */
void vm_delete_trusted(vm_t *vm);

/* Calls fn(L, data) protected, on L, which is any stack of the VM with room for one more value; allocates nothing
   before it is protected. 0, and what fn returned is on top of L; or a Lua status, and the error value is on top of
   L. */
int vm_call(lua_State *L, vm_fn fn, void *data);
/* Runs fn on the main state, protected, with data as a light userdata at index 1; its results are dropped. 0, or
   ERR_RULE_ERROR (ERR_NO_MEMORY) with the message and its traceback in error (cut to size; may be NULL with size
   0). */
int vm_protect(vm_t *vm, lua_CFunction fn, void *data, char *error, size_t size);
/* Pushes the text of the error value at index, without running any metamethod. May raise when out of memory. */
void vm_error_text(lua_State *L, int index);

/* Ends what runs in a trusted VM now, compiled or not: every further instruction raises `message` (static text),
   also after a pcall caught it, until the resume or the protected call has returned. Call it on the VM's own
   thread, also from a signal handler; calling it again while it has not helped is harmless. False when no Lua runs;
   then nothing happens. */
bool vm_interrupt(vm_t *vm, const char *message);

/* Around whatever runs Lua, for the interrupt: task.c and vm_protect do it. */
void vm_enter(vm_t *vm);
void vm_leave(vm_t *vm);

#endif
