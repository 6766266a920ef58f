/* copy_lua.h: COPY … FROM STDIN, fed by a script. */
#ifndef PERIGEE_POSTGRES_COPY_LUA_H
#define PERIGEE_POSTGRES_COPY_LUA_H
#include <lua.h>
#include "postgres/leased.h"

/* Makes the metatable; may raise. */
void copy_lua_open(lua_State *L);
/* Options and SQL are at `first`; waits until the server takes data, and answers a copy. Its methods, each true or nil,
   text, name and what the server said: write(text) and row(list), which wait while the server does not keep up;
   finish() → how many rows; fail(why): nothing of it is kept. */
int copy_lua_in(lua_State *L, leased_t *leased, int first);

#endif
