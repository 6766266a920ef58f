/* process_lua.h: the Lua module `process`: the settings, and what a script may ask of its own process. */
#ifndef PERIGEE_PROCESS_LUA_H
#define PERIGEE_PROCESS_LUA_H
#include <lua.h>

/* process.config(key) → text or nil; process.forget_tenants() makes this worker look tenants up again. */
int luaopen_process(lua_State *L);

#endif
