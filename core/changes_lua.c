/* changes_lua.c: shows a process's changes to the audit's script, and forgets those that it has noted. */
#include "changes_lua.h"
#include "app.h"
#include "changes.h"
#include "services.h"

#define BATCH 100

static changes_t *changes_of(lua_State *L) {
    return &app_of(L)->services->changes;
}

static void push_text(lua_State *L, const char *field, const char *text) {
    if (!*text) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, field);
}

static int l_waiting(lua_State *L) {
    const list_t *all = &changes_of(L)->all;
    int count = 0;
    lua_newtable(L);
    for (list_t *node = all->next; node != all && count < BATCH; node = node->next) {
        const swapped_t *swapped = LIST_OWNER(node, swapped_t, node);
        lua_createtable(L, 0, 4);
        push_text(L, "id", swapped->id);
        push_text(L, "tenant", swapped->tenant);
        push_text(L, "before", swapped->before);
        push_text(L, "after", swapped->after);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

static int l_done(lua_State *L) {
    changes_done(changes_of(L), luaL_checkstring(L, 1));
    return 0;
}

int luaopen_changes(lua_State *L) {
    static const luaL_Reg FUNCTIONS[] = {{"waiting", l_waiting}, {"done", l_done}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, FUNCTIONS);
    return 1;
}
