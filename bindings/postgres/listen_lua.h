/* listen_lua.h: the notifications of a channel as a script's iterator. */
#ifndef PERIGEE_POSTGRES_LISTEN_LUA_H
#define PERIGEE_POSTGRES_LISTEN_LUA_H
#include <lua.h>
#include "postgres/postgres.h"

/* listen(channel, { missed = bool }) → a handle as of lua/inbox.h: payload, channel; or, when asked for by `missed`,
   false and whether it is live now. */
int listen_lua_new(lua_State *L, postgres_t *postgres);

#endif
