/* postgres_lua.h: the native module of PostgreSQL for trusted scripts. */
#ifndef PERIGEE_POSTGRES_POSTGRES_LUA_H
#define PERIGEE_POSTGRES_POSTGRES_LUA_H
#include "lua/vm.h"
#include "postgres/postgres.h"

/* Registers `postgres.native` (scripts/lib/pg.lua shows it to handlers) for this VM; nothing when postgres is NULL. 0
   or an error. */
int postgres_lua_open(vm_t *vm, postgres_t *postgres);

#endif
