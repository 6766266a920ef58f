/* signal.h: the module `signal`: tasks of one VM wait for what another one announces. */
#ifndef PERIGEE_LUA_SIGNAL_H
#define PERIGEE_LUA_SIGNAL_H
#include <lua.h>

/* signal.new() → signal. signal:wait(ms) → true once it is fired, or nil, text, "timeout"; signal:fire() wakes all who
   wait now, and nobody who waits later. */
int luaopen_signal(lua_State *L);

#endif
