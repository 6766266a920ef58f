/* vm.h: a LuaJIT state with counted memory and a limit. */
#ifndef PERIGEE_LUA_VM_H
#define PERIGEE_LUA_VM_H
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/loop.h"

/* Shared by trusted and tenant VMs: the allocator and what is counted. Embed it first in a bigger struct. */
typedef struct vm {
    lua_State *L;
    loop_t *loop;
    size_t used;       /* bytes alive */
    size_t limit;      /* allocations beyond it fail; 0 for none */
    uint64_t charged;  /* bytes ever allocated */
    int64_t fail_after; /* tests: allocations left before every further one fails; negative for never */
    size_t children;   /* tasks alive */
    bool trusted;
    void *user;
} vm_t;

/* Fills memory the caller owns and opens a state without libraries; ERR_NO_MEMORY leaves nothing behind. */
int vm_create(vm_t *vm, loop_t *loop, size_t limit);
void vm_destroy(vm_t *vm);
vm_t *vm_of(lua_State *L);

/* A trusted VM: all libraries, JIT on, await functions, json, log, package.path from nothing: modules come from
   `loader`, which answers a module's source (owned by the edition, alive as long as the VM) or NULL. */
typedef struct vm_source {
    const char *text;
    size_t len;
    const char *name; /* chunk name: "@scripts/api/products.lua" */
} vm_source_t;
typedef bool (*vm_loader)(void *data, const char *module, vm_source_t *out);
vm_t *vm_new_trusted(loop_t *loop, vm_loader loader, void *data); /* NULL when out of memory */
void vm_delete_trusted(vm_t *vm);
/* Pushes what the protected call of fn(L, data) needs nothing of; runs fn on the main state, protected. 0, or an error with its traceback in
   error (cut to size). */
int vm_protect(vm_t *vm, lua_CFunction fn, void *data, char *error, size_t size);

#endif
