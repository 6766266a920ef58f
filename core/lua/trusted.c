/* trusted.c: opens the VM of the platform's own scripts: all libraries, the JIT, and modules from an edition only. */
#include "lua/trusted.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lua/decimal.h"
#include "lua/lib_money.h"
#include "lua/task.h"

/* Half of what a small machine has: a leak ends in an error of the request that meets it, not in the kernel's
   choice. */
static const size_t MEMORY_MOST = (size_t)512 << 20;

/* Where distributions keep C modules for Lua 5.1. */
static const char *const CJSON[] = {
    "/usr/lib/x86_64-linux-gnu/lua/5.1/cjson.so",
    "/usr/lib/aarch64-linux-gnu/lua/5.1/cjson.so",
    "/usr/lib/lua/5.1/cjson.so",
    "/usr/lib64/lua/5.1/cjson.so",
    "/usr/local/lib/lua/5.1/cjson.so",
};

typedef struct trusted {
    vm_t vm;
    vm_loader loader;
    void *data;
} trusted_t;

static trusted_t *trusted_of(lua_State *L) {
    return (trusted_t *)(void *)vm_of(L);
}

/* A searcher as package.loaders wants it: the module's function, or why there is none. */
static int search_edition(lua_State *L) {
    const trusted_t *trusted = trusted_of(L);
    const char *module = luaL_checkstring(L, 1);
    vm_source_t source;
    if (!trusted->loader(trusted->data, module, &source)) {
        lua_pushfstring(L, "\n\tno module '%s' in the edition", module);
        return 1;
    }
    /* Bytecode too: an edition is compiled before it gets here, by ourselves. */
    if (luaL_loadbufferx(L, source.text, source.len, source.name, "bt") != 0) lua_error(L);
    return 1;
}

static int open_cjson(lua_State *L) {
    size_t i = 0, n = sizeof CJSON / sizeof CJSON[0];
    while (i < n && access(CJSON[i], R_OK) != 0)
        i++;
    if (i == n) return luaL_error(L, "cjson is not installed: it is the package lua-cjson");
    lua_getfield(L, LUA_REGISTRYINDEX, "perigee.loadlib");
    lua_pushstring(L, CJSON[i]);
    lua_pushliteral(L, "luaopen_cjson");
    lua_call(L, 2, 2);
    if (!lua_isfunction(L, -2)) return luaL_error(L, "cjson: %s", lua_tostring(L, -1));
    lua_pop(L, 1);
    lua_pushliteral(L, "cjson");
    lua_call(L, 1, 1);
    return 1;
}

/* On the package table: preloaded modules first, then the edition's; nothing of the file system. */
static void set_loaders(lua_State *L) {
    lua_getfield(L, -1, "loaders");
    lua_createtable(L, 2, 0);
    lua_rawgeti(L, -2, 1);
    lua_rawseti(L, -2, 1);
    lua_pushcfunction(L, search_edition);
    lua_rawseti(L, -2, 2);
    lua_setfield(L, -3, "loaders");
    lua_pop(L, 1);
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "path");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "cpath");
}

/* Also kept where scripts do not reach: `require "cjson"` must work after a script set package.loadlib to nil. */
static void set_package(lua_State *L) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loadlib");
    lua_setfield(L, LUA_REGISTRYINDEX, "perigee.loadlib");
    set_loaders(L);
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, open_cjson);
    lua_setfield(L, -2, "cjson");
    lua_pop(L, 2);
}

/* A module that scripts may require, and use without. */
static void open_module(lua_State *L, const char *name, lua_CFunction open) {
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_setglobal(L, name);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static int open_all(lua_State *L) {
    luaL_openlibs(L);
    set_package(L);
    lua_pushcfunction(L, luaopen_wait);
    lua_call(L, 0, 0);
    open_module(L, "decimal", luaopen_decimal);
    open_module(L, "json", luaopen_json);
    open_module(L, "log", luaopen_log);
    open_module(L, "clock", luaopen_clock);
    open_module(L, "ident", luaopen_ident);
    open_module(L, "money", luaopen_money);
    return 0;
}

vm_t *vm_new_trusted(loop_t *loop, vm_loader loader, void *data) {
    trusted_t *trusted = calloc(1, sizeof *trusted);
    if (trusted == NULL) return NULL;
    trusted->loader = loader;
    trusted->data = data;
    vm_t *vm = &trusted->vm;
    if (vm_create(vm, loop, MEMORY_MOST) != 0) {
        free(trusted);
        return NULL;
    }
    vm->trusted = true;
    if (vm_protect(vm, open_all, NULL, NULL, 0) == 0) return vm;
    vm_delete_trusted(vm);
    return NULL;
}

void vm_delete_trusted(vm_t *vm) {
    if (vm == NULL) return;
    vm_destroy(vm);
    free((trusted_t *)(void *)vm);
}
