/* mark.c: makes and finds the marks of tables that are parameters. */
#include "postgres/mark.h"
#include <lauxlib.h>
#include <stdint.h>

/* The metatable of a mark is in the registry under the address of its entry, and holds that address at 1. */
static char MARKS[MARK_COUNT];

void mark_open(lua_State *L) {
    for (int mark = MARK_ARRAY; mark < MARK_COUNT; mark++) {
        lua_pushlightuserdata(L, &MARKS[mark]);
        lua_createtable(L, 1, 0);
        lua_pushlightuserdata(L, &MARKS[mark]);
        lua_rawseti(L, -2, 1);
        lua_rawset(L, LUA_REGISTRYINDEX);
    }
}

void mark_set(lua_State *L, mark_t mark) {
    lua_pushlightuserdata(L, &MARKS[mark]);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_setmetatable(L, -2);
}

mark_t mark_of(lua_State *L, int index) {
    if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return MARK_NONE;
    lua_rawgeti(L, -1, 1);
    const char *entry = lua_islightuserdata(L, -1) ? lua_touserdata(L, -1) : NULL;
    lua_pop(L, 2);
    for (int mark = MARK_ARRAY; mark < MARK_COUNT; mark++)
        if (entry == &MARKS[mark]) return (mark_t)mark;
    return MARK_NONE;
}

int mark_l_array(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int count = (int)lua_objlen(L, 1);
    lua_createtable(L, count, 0);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, i);
        lua_rawseti(L, -2, i);
    }
    mark_set(L, MARK_ARRAY);
    return 1;
}

static int wrap(lua_State *L, mark_t mark) {
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    mark_set(L, mark);
    return 1;
}

int mark_l_json(lua_State *L) {
    luaL_checkany(L, 1);
    luaL_argcheck(L, !lua_isnil(L, 1), 1, "nil is no JSON; json.null is");
    return wrap(L, MARK_JSON);
}

int mark_l_bytes(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    return wrap(L, MARK_BYTES);
}
