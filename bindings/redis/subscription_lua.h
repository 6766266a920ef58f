/* subscription_lua.h: the messages of a channel as a script's iterator. */
#ifndef PERIGEE_REDIS_SUBSCRIPTION_LUA_H
#define PERIGEE_REDIS_SUBSCRIPTION_LUA_H
#include <lua.h>
#include "redis/redis.h"

/* subscribe(channel, { pattern = bool, missed = bool }) → a handle as of lua/inbox.h: text, channel; or, when asked for
   by `missed`, false and whether it is live now. */
int subscription_lua_new(lua_State *L, redis_t *redis);

#endif
