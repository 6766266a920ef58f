/* json_encode.h: a Lua value as JSON text, with exact decimals, sorted members and limits. */
#ifndef PERIGEE_LUA_JSON_ENCODE_H
#define PERIGEE_LUA_JSON_ENCODE_H
#include <lua.h>
#include "base/bytes.h"

/* The same on both sides, so that whatever decodes also encodes. */
#define JSON_DEPTH 128
#define JSON_SIZE ((size_t)16 << 20)

/* Appends the value at index, with raw access only, object members in the order of their names. A table with only
   1..n is a list, an unmarked empty one too. Refuses what JSON has not: functions, NaN, mixed and sparse tables,
   cycles, text that is not UTF-8. Raises nothing and leaves the stack as it was: 0, or ERR_INVALID, ERR_TOO_LARGE,
   ERR_NO_MEMORY with a sentence that names the place in why; then out is as before. */
int json_encode(lua_State *L, int index, buf_t *out, char *why, size_t size);

#endif
