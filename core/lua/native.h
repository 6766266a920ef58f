/* native.h: what C gives to scripts: kinds of objects with methods, and modules of functions. */
#ifndef PERIGEE_LUA_NATIVE_H
#define PERIGEE_LUA_NATIVE_H
#include <lauxlib.h>

/* Makes a kind of userdata, with its methods and what the collector calls; no effect when there is one of that name
   already. May raise. */
void native_kind(lua_State *L, const char *kind, const luaL_Reg *methods, lua_CFunction gc);
/* Pushes an object of the kind that has room for one pointer, and returns the place of it, with NULL in it. May
   raise. */
void *native_push(lua_State *L, const char *kind);
/* The functions become what `require` answers for the name, in this VM; each has `engine`, a light userdata, as its
   upvalue. May raise. */
void native_module(lua_State *L, const char *name, const luaL_Reg *functions, void *engine);

#endif
