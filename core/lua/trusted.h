/* trusted.h: the modules that every trusted VM has. */
#ifndef PERIGEE_LUA_TRUSTED_H
#define PERIGEE_LUA_TRUSTED_H
#include <lua.h>

int luaopen_clock(lua_State *L);
int luaopen_ident(lua_State *L);

#endif
