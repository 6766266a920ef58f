/* json.h: JSON text straight to a Lua stack, with exact decimals, marked lists and limits. */
#ifndef PERIGEE_LUA_JSON_H
#define PERIGEE_LUA_JSON_H
#include <lua.h>
#include "base/bytes.h"

/* Pushes the value of a JSON text. Whole numbers within ±2^53 are Lua numbers, all others decimals; null is
   json.null; lists and objects are marked, so that empty ones stay what they are. The VM must have opened json and
   decimal. Raises nothing: 0, or ERR_BAD_JSON, ERR_TOO_LARGE, ERR_NO_MEMORY with nothing pushed and a sentence in
   why. L needs room for two values. */
int json_decode(lua_State *L, span_t text, char *why, size_t size);

#endif
