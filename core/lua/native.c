/* native.c: makes kinds of objects and modules of C functions in a VM. */
#include "lua/native.h"
#include <string.h>

void native_kind(lua_State *L, const char *kind, const luaL_Reg *methods, lua_CFunction gc) {
    if (luaL_newmetatable(L, kind)) {
        lua_pushcfunction(L, gc);
        lua_setfield(L, -2, "__gc");
        lua_newtable(L);
        luaL_register(L, NULL, methods);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

/* Empty before it has its kind: from then on the collector may come. */
void *native_push(lua_State *L, const char *kind) {
    void *box = memset(lua_newuserdata(L, sizeof(void *)), 0, sizeof(void *));
    luaL_getmetatable(L, kind);
    lua_setmetatable(L, -2);
    return box;
}

void native_module(lua_State *L, const char *name, const luaL_Reg *functions, void *engine) {
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_newtable(L);
    for (const luaL_Reg *function = functions; function->name; function++) {
        lua_pushlightuserdata(L, engine);
        lua_pushcclosure(L, function->func, 1);
        lua_setfield(L, -2, function->name);
    }
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}
