/* json.h: JSON text straight to and from a Lua stack, with exact decimals, marked lists and limits. */
#ifndef PERIGEE_LUA_JSON_H
#define PERIGEE_LUA_JSON_H
#include <lua.h>
#include "base/bytes.h"

/* The same on both sides, so that whatever decodes also encodes. */
#define JSON_DEPTH 128
#define JSON_SIZE ((size_t)16 << 20)

/* Pushes the value of a JSON text. Whole numbers within ±2^53 are Lua numbers, all others decimals; null is
   json.null; lists and objects are marked, so that empty ones stay what they are. The VM must have opened json and
   decimal. Raises nothing: 0, or ERR_BAD_JSON, ERR_TOO_LARGE, ERR_NO_MEMORY with nothing pushed and a sentence in
   why. L needs room for two values. */
int json_decode(lua_State *L, span_t text, char *why, size_t size);
/* Appends the value at index, with raw access only, object members in the order of their names. A table with only
   1..n is a list, an unmarked empty one too. Refuses what JSON has not: functions, NaN, mixed and sparse tables,
   cycles, text that is not UTF-8. Raises nothing and leaves the stack as it was: 0, or ERR_INVALID, ERR_TOO_LARGE,
   ERR_NO_MEMORY with a sentence that names the place in why; then out is as before. */
int json_encode(lua_State *L, int index, buf_t *out, char *why, size_t size);
/* Appends a finite number: whole ones within ±2^53 as digits, others as the shortest text that reads back the same. */
void json_number(buf_t *out, double number);
#define JSON_NUMBER 32
void json_number_text(double number, char out[JSON_NUMBER]);
/* Marks the table on top as a list or an object; nothing in a VM without the json module. */
void json_mark(lua_State *L, bool list);
/* 'l' when the table at index is marked as a list, 'o' as an object, 0 when unmarked. */
char json_marked(lua_State *L, int index);

#endif
