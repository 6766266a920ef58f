/* lib_base.c: the basic functions of a tenant's VM, each bounded, none of which reaches another function's
   environment. */
#include "lua/sandbox_own.h"
#include <ctype.h>

static int l_assert(lua_State *L) {
    luaL_checkany(L, 1);
    if (lua_toboolean(L, 1)) return lua_gettop(L);
    if (lua_isnoneornil(L, 2)) return luaL_error(L, "assertion failed!");
    lua_settop(L, 2);
    return lua_error(L);
}

static int l_error(lua_State *L) {
    int64_t level = lib_opt_int(L, 2, 1);
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING && level > 0) {
        luaL_where(L, level < 200 ? (int)level : 200);
        lua_insert(L, 1);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int next_index(lua_State *L) {
    int64_t i = lib_int(L, 2) + 1;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (i < 1 || i > INT32_MAX) return 0;
    lua_pushinteger(L, (lua_Integer)i);
    lua_rawgeti(L, 1, (int)i);
    return lua_isnil(L, -1) ? 0 : 2;
}

static int l_ipairs(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

/* An expired budget, and an allocation that failed, go on through every pcall. The nesting is bounded because
   each level is a C frame. A C frame also means that nothing inside may wait: `shop` functions answer nil,
   text, name instead of raising. */
static int l_pcall(lua_State *L) {
    sandbox_t *sandbox = sandbox_of(L);
    luaL_checkany(L, 1);
    if (sandbox->protects >= SANDBOX_PCALL_MAX) budget_expire(L, ERR_BUDGET_DEPTH);
    int depth = sandbox->depth, protects = sandbox->protects++;
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    sandbox->depth = depth;
    sandbox->protects = protects;
    if (status == LUA_ERRMEM) budget_expire(L, ERR_BUDGET_MEMORY);
    if (sandbox->budget->err) budget_raise(L);
    luaL_checkstack(L, 2, "too many results");
    lua_pushboolean(L, status == 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

static int l_select(lua_State *L) {
    int n = lua_gettop(L);
    if (lua_type(L, 1) == LUA_TSTRING && *lua_tostring(L, 1) == '#') {
        lua_pushinteger(L, n - 1);
        return 1;
    }
    int64_t i = lib_int(L, 1);
    if (i < 0) i = n + i;
    luaL_argcheck(L, i >= 1, 1, "index out of range");
    return i >= n ? 0 : n - (int)i;
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return isalpha((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : 99;
}

static bool read_based(const char *text, const char *end, int base, lua_Number *out) {
    while (text < end && isspace((unsigned char)*text))
        text++;
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    bool minus = text < end && *text == '-';
    if (minus) text++;
    if (base == 16 && end - text > 2 && text[0] == '0' && (text[1] | 32) == 'x') text += 2;
    if (text == end) return false;
    *out = 0;
    for (; text < end; text++) {
        if (digit(*text) >= base) return false;
        *out = *out * base + digit(*text);
    }
    if (minus) *out = -*out;
    return true;
}

static int l_tonumber(lua_State *L) {
    int64_t base = lib_opt_int(L, 2, 10);
    luaL_checkany(L, 1);
    lua_Number number;
    size_t len = lua_type(L, 1) == LUA_TSTRING ? lua_objlen(L, 1) : 0;
    budget_work(L, len);
    if (base == 10) {
        if (!lua_isnumber(L, 1)) return lua_pushnil(L), 1;
        lua_pushnumber(L, lua_tonumber(L, 1));
        return 1;
    }
    const char *text = luaL_checklstring(L, 1, &len);
    luaL_argcheck(L, base >= 2 && base <= 36, 2, "base out of range");
    if (read_based(text, text + len, (int)base, &number))
        lua_pushnumber(L, number);
    else
        lua_pushnil(L);
    return 1;
}

static int l_tostring(lua_State *L) {
    luaL_checkany(L, 1);
    lib_tostring(L, 1, NULL);
    return 1;
}

static int l_type(lua_State *L) {
    luaL_checkany(L, 1);
    lua_pushstring(L, luaL_typename(L, 1));
    return 1;
}

static int l_rawequal(lua_State *L) {
    luaL_checkany(L, 2);
    lua_pushboolean(L, lua_rawequal(L, 1, 2));
    return 1;
}

static int l_rawget(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    sandbox_fill(L, 1);
    lua_settop(L, 2);
    lua_rawget(L, 1);
    return 1;
}

static int l_rawset(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 3);
    sandbox_check_own(L, 1);
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 1;
}

static int l_getmetatable(lua_State *L) {
    luaL_checkany(L, 1);
    if (!lua_getmetatable(L, 1)) return lua_pushnil(L), 1;
    luaL_getmetafield(L, 1, "__metatable");
    return 1;
}

static int l_setmetatable(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table expected");
    if (luaL_getmetafield(L, 1, "__metatable"))
        return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"assert", l_assert},
    {"error", l_error},
    {"pcall", l_pcall},
    {"select", l_select},
    {"tonumber", l_tonumber},
    {"tostring", l_tostring},
    {"type", l_type},
    {"rawequal", l_rawequal},
    {"rawget", l_rawget},
    {"rawset", l_rawset},
    {"getmetatable", l_getmetatable},
    {"setmetatable", l_setmetatable},
    {NULL, NULL},
};

void lib_base_open(lua_State *L) {
    lib_set(L, functions);
    lua_pushcfunction(L, next_index);
    lua_pushcclosure(L, l_ipairs, 1);
    lua_setfield(L, -2, "ipairs");
    lua_pushliteral(L, "Lua 5.1");
    lua_setfield(L, -2, "_VERSION");
}
