/* subscription_lua.h: the messages of a channel as a script's iterator. */
#ifndef PERIGEE_REDIS_SUBSCRIPTION_LUA_H
#define PERIGEE_REDIS_SUBSCRIPTION_LUA_H
#include <lua.h>
#include "redis/redis.h"

/* Makes the metatable; may raise. */
void subscription_lua_open(lua_State *L);
/* subscribe(channel, { pattern = bool, missed = bool }) → subscription. Calling it waits for the next message: text,
   channel; or, when asked for by `missed`, false and whether it is live now, where messages may have been lost; nil,
   text, "timeout" at the end of the task's time. Its methods: next(ms), close(). */
int subscription_lua_new(lua_State *L, redis_t *redis);

#endif
