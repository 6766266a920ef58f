/* redis_lua.h: the native module `redis.native` of trusted VMs, which scripts/lib/redis.lua makes pleasant. */
#ifndef PERIGEE_REDIS_LUA_H
#define PERIGEE_REDIS_LUA_H
#include "lua/vm.h"
#include "redis/redis.h"

/* Makes `require "redis.native"` work in this VM; without an engine (NULL) the module stays away. 0 or
   ERR_NO_MEMORY. */
int redis_lua_open(vm_t *vm, redis_t *redis);

#endif
