/* json_mark.h: tables that are lists, or objects, also when they are empty. */
#ifndef PERIGEE_LUA_JSON_MARK_H
#define PERIGEE_LUA_JSON_MARK_H
#include <lua.h>
#include <stdbool.h>

/* Makes the VM's two marks, metatables; may raise. */
void json_mark_open(lua_State *L);
/* Marks the table on top as a list or an object; nothing in a VM without the json module. */
void json_mark(lua_State *L, bool list);
/* 'l' when the table at index is marked as a list, 'o' as an object, 0 when unmarked. */
char json_marked(lua_State *L, int index);

#endif
