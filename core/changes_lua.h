/* changes_lua.h: the module `changes`: swaps of rules that no script has noted yet. */
#ifndef PERIGEE_CHANGES_LUA_H
#define PERIGEE_CHANGES_LUA_H
#include <lua.h>

/* waiting() lists up to 100 as { id, tenant (slug), before, after }, before missing for a new shop; done(id) forgets
   one. */
int luaopen_changes(lua_State *L);

#endif
