/* sandbox_env.c: the allow-list of a tenant's VM: library tables nobody can write to, and an environment made
   afresh for each call. */
#include "lua/sandbox_own.h"

/* What scripts written for other hosts reach for; naming it explains more than "a nil value". */
static const char *const absent[] = {"_G", "collectgarbage", "coroutine", "debug", "dofile", "ffi",
    "gcinfo", "getfenv", "io", "jit", "load", "loadfile", "loadstring", "module", "newproxy", "os",
    "package", "print", "require", "setfenv", "xpcall", NULL};

static bool is_absent(const char *name) {
    for (const char *const *each = absent; *each; each++)
        if (strcmp(*each, name) == 0) return true;
    return false;
}

static int missing_global(lua_State *L) {
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(name, "print") == 0)
        return sandbox_raise(L, ERR_FORBIDDEN, "rules do not have 'print': use log(...)");
    if (is_absent(name)) return sandbox_raise(L, ERR_FORBIDDEN, "rules do not have '%s'", name);
    return 0;
}

static int missing_field(lua_State *L) {
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(name, "dump") == 0 || strcmp(name, "randomseed") == 0)
        return sandbox_raise(L, ERR_FORBIDDEN, "rules do not have '%s.%s'",
            lua_tostring(L, lua_upvalueindex(1)), name);
    return 0;
}

static int write_global(lua_State *L) {
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    return sandbox_raise(L, ERR_FORBIDDEN, "globals are read-only: write 'local %.60s'", name);
}

static int write_library(lua_State *L) {
    return sandbox_raise(L, ERR_FORBIDDEN, "libraries are read-only");
}

/* Locks the metatable on the top of the stack: __newindex raises, getmetatable answers false. */
static void lock(lua_State *L, lua_CFunction refuse) {
    if (refuse) {
        lua_pushcfunction(L, refuse);
        lua_setfield(L, -2, "__newindex");
    }
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

/* With a library's functions on the top: leaves instead the empty table that scripts see, which looks
   everything up there. */
static void wrap(lua_State *L, const char *name) {
    sandbox_t *sandbox = sandbox_of(L);
    lua_newtable(L);
    lua_pushstring(L, name);
    lua_pushcclosure(L, missing_field, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_newtable(L);
    sandbox->shared[sandbox->nshared++] = lua_topointer(L, -1);
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lock(L, write_library);
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

/* s:upper() finds the functions through the metatable of all texts. */
static void open_text_methods(lua_State *L) {
    lua_pushliteral(L, "");
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lock(L, NULL);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static void open_library(lua_State *L, const char *name, void (*open)(lua_State *L)) {
    lua_newtable(L);
    open(L);
    if (open == lib_string_open) open_text_methods(L);
    wrap(L, name);
    lua_setfield(L, -2, name);
}

static void open_all(lua_State *L) {
    lib_base_open(L);
    lib_pairs_open(L);
    lib_log_open(L);
    open_library(L, "string", lib_string_open);
    open_library(L, "table", lib_table_open);
    open_library(L, "math", lib_math_open);
    open_library(L, "bit", lib_bit_open);
    open_library(L, "money", lib_money_open);
    lua_pushliteral(L, "table");
    lua_rawget(L, -2);
    lua_getfield(L, -1, "unpack");
    lua_setfield(L, -3, "unpack");
    lua_pop(L, 1);
}

/* The metatable of every environment. */
static void make_environment(lua_State *L, int base) {
    lua_newtable(L);
    lua_pushvalue(L, base);
    lua_setfield(L, -2, "__index");
    lock(L, write_global);
    sandbox_of(L)->environment = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* The engine opens its ffi library by itself when it reads a number like 1LL. It then enters this table, which is how
   sandbox_load finds out. */
static void watch_ffi(lua_State *L) {
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "_LOADED");
}

void sandbox_env_open(lua_State *L) {
    lua_newtable(L);
    int base = lua_gettop(L);
    /* C functions made from here on belong to this table and not to the state's first globals. */
    lua_pushvalue(L, base);
    lua_replace(L, LUA_GLOBALSINDEX);
    lua_pushvalue(L, base);
    lua_replace(L, LUA_ENVIRONINDEX);
    open_all(L);
    lua_newtable(L);
    lua_pushcfunction(L, missing_global);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, base);
    make_environment(L, base);
    watch_ffi(L);
}

void sandbox_env_push(lua_State *L) {
    lua_newtable(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, sandbox_of(L)->environment);
    lua_setmetatable(L, -2);
}
