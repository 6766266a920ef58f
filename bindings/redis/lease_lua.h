/* lease_lua.h: a connection of one's own in a script's hands. */
#ifndef PERIGEE_REDIS_LEASE_LUA_H
#define PERIGEE_REDIS_LEASE_LUA_H
#include <lua.h>
#include "redis/redis.h"

/* Makes the metatable; may raise. */
void lease_lua_open(lua_State *L);
/* lease(tenant, key, wait_ms) → connection, after a wait. Its methods: call(name, …), wait(ms, name, …) for commands
   that block, pipeline(list), close(clean). */
int lease_lua_get(lua_State *L, redis_t *redis);

#endif
