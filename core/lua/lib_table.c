/* lib_table.c: the table functions of a tenant's VM: raw access, charged by the fields they touch. */
#include "lua/sandbox_own.h"
#include <math.h>

static int64_t length(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    return (int64_t)lua_objlen(L, 1);
}

/* Moves fields [from, from + n) by one; up from the end, down from the start. */
static void shift(lua_State *L, int64_t from, int64_t n, int by) {
    for (int64_t i = 0; i < n; i++) {
        int64_t at = by > 0 ? from + n - 1 - i : from + i;
        lua_rawgeti(L, 1, (int)at);
        lua_rawseti(L, 1, (int)(at + by));
        if (i % 1024 == 1023) budget_work(L, 1024);
    }
    budget_work(L, (size_t)(n % 1024));
}

static int l_insert(lua_State *L) {
    int64_t end = length(L) + 1, at = end;
    sandbox_check_own(L, 1);
    int n = lua_gettop(L);
    if (n != 2 && n != 3) return luaL_error(L, "wrong number of arguments to 'insert'");
    if (n == 3) at = lib_int(L, 2);
    luaL_argcheck(L, at > INT32_MIN && at < INT32_MAX, 2, "position out of range");
    if (at < end) shift(L, at, end - at, 1);
    lua_pushvalue(L, n);
    lua_rawseti(L, 1, (int)at);
    return 0;
}

static int l_remove(lua_State *L) {
    int64_t end = length(L);
    sandbox_check_own(L, 1);
    int64_t at = lib_opt_int(L, 2, end);
    if (at < 1 || at > end) return 0;
    lua_rawgeti(L, 1, (int)at);
    shift(L, at + 1, end - at, -1);
    lua_pushnil(L);
    lua_rawseti(L, 1, (int)end);
    return 1;
}

static void put_field(lua_State *L, text_t *text, int64_t i) {
    size_t len;
    lua_rawgeti(L, 1, (int)i);
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid value (%s) at index %d in table for 'concat'", luaL_typename(L, -1),
            (int)i);
    const char *field = lua_tolstring(L, -1, &len);
    text_put(text, field, len);
    lua_pop(L, 1);
    budget_work(L, 2);
}

static int l_concat(lua_State *L) {
    size_t between;
    int64_t end = length(L);
    const char *separator = luaL_optlstring(L, 2, "", &between);
    int64_t from = lib_opt_int(L, 3, 1), to = lib_opt_int(L, 4, end);
    luaL_argcheck(L, from >= INT32_MIN && to <= INT32_MAX, 3, "index out of range");
    text_t text;
    text_open(&text, L);
    for (int64_t i = from; i <= to; i++) {
        put_field(L, &text, i);
        if (i < to) text_put(&text, separator, between);
    }
    text_push(&text);
    return 1;
}

static int l_unpack(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int64_t from = lib_opt_int(L, 2, 1);
    int64_t to = lua_isnoneornil(L, 3) ? (int64_t)lua_objlen(L, 1) : lib_int(L, 3);
    if (from > to) return 0;
    luaL_argcheck(L, from >= INT32_MIN && to <= INT32_MAX, 3, "index out of range");
    if (to - from >= SANDBOX_UNPACK_MAX || !lua_checkstack(L, (int)(to - from + 1)))
        return luaL_error(L, "too many results to unpack");
    budget_work(L, (size_t)(to - from));
    for (int64_t i = from; i <= to; i++)
        lua_rawgeti(L, 1, (int)i);
    return (int)(to - from + 1);
}

static int l_maxn(lua_State *L) {
    lua_Number most = 0;
    size_t n = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 1);) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TNUMBER) most = fmax(most, lua_tonumber(L, -1));
        if (++n % 64 == 0) budget_work(L, 64);
    }
    budget_work(L, n % 64);
    lua_pushnumber(L, most);
    return 1;
}

static const luaL_Reg functions[] = {
    {"concat", l_concat},
    {"insert", l_insert},
    {"maxn", l_maxn},
    {"remove", l_remove},
    {"sort", lib_sort},
    {"unpack", l_unpack},
    {NULL, NULL},
};

void lib_table_open(lua_State *L) {
    lib_set(L, functions);
}
