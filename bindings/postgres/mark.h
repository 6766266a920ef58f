/* mark.h: the marks by which a script says what a table stands for as a parameter: an array, JSON, bytes. */
#ifndef PERIGEE_POSTGRES_MARK_H
#define PERIGEE_POSTGRES_MARK_H
#include <lua.h>

/* An array is a list with the mark; the value of the others is the table's only element. */
typedef enum { MARK_NONE, MARK_ARRAY, MARK_JSON, MARK_BYTES, MARK_COUNT } mark_t;

/* Makes the marks; may raise. */
void mark_open(lua_State *L);
/* Marks the table on top; raises nothing. */
void mark_set(lua_State *L, mark_t mark);
/* The mark of the value at index; raises nothing. L needs room for two values. */
mark_t mark_of(lua_State *L, int index);

/* array(list) → a marked copy; json(value), bytes(text) → a marked table around it. */
int mark_l_array(lua_State *L);
int mark_l_json(lua_State *L);
int mark_l_bytes(lua_State *L);

#endif
