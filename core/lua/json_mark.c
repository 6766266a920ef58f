/* json_mark.c: two metatables per VM, known by their addresses. */
#include "lua/json_mark.h"
#include <lauxlib.h>
#include "lua/vm.h"

static int make_mark(lua_State *L, const char *name, const void **at) {
    lua_newtable(L);
    *at = lua_topointer(L, -1);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void json_mark_open(lua_State *L) {
    vm_t *vm = vm_of(L);
    vm->array_mt = make_mark(L, "json.array", &vm->array_at);
    vm->object_mt = make_mark(L, "json.object", &vm->object_at);
}

void json_mark(lua_State *L, bool list) {
    const vm_t *vm = vm_of(L);
    int mark = list ? vm->array_mt : vm->object_mt;
    if (mark == 0) return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, mark);
    lua_setmetatable(L, -2);
}

char json_marked(lua_State *L, int index) {
    const vm_t *vm = vm_of(L);
    if (vm->array_at == NULL || !lua_getmetatable(L, index)) return 0;
    const void *mark = lua_topointer(L, -1);
    lua_pop(L, 1);
    return mark == vm->array_at ? 'l' : mark == vm->object_at ? 'o' : 0;
}
