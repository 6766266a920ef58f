/* sqlite_lua.h: the native module `sqlite` of trusted VMs. */
#ifndef PERIGEE_SQLITE_LUA_H
#define PERIGEE_SQLITE_LUA_H
#include "lua/vm.h"
#include "sqlite/engine.h"

/* Makes `require "sqlite"` work in this VM; once per VM, all of them share the engine's files. 0 or ERR_NO_MEMORY. */
int sqlite_lua_open(vm_t *vm, sqlite_t *engine);

#endif
