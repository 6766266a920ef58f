/* decimal.h: exact decimal numbers in Lua: an immutable text that compares as a number. */
#ifndef PERIGEE_LUA_DECIMAL_H
#define PERIGEE_LUA_DECIMAL_H
#include <lua.h>
#include "base/bytes.h"

/* Whether text is a number as JSON writes it, of at most 1000 bytes, with an exponent of at most nine digits. */
bool decimal_valid(span_t text);
/* Exactly, without arithmetic: below, equal to or above 0 as a is below, equal to or above b. Both valid. */
int decimal_compare(span_t a, span_t b);
/* Pushes a decimal of a valid text, which is copied. The VM must have opened the module; may raise when out of
   memory. */
void decimal_push(lua_State *L, span_t text);
/* The text of the decimal at index (alive as long as the value is), or false when it is none. Raises nothing. */
bool decimal_at(lua_State *L, int index, span_t *text);
/* decimal.new(text or whole number) → decimal | nil, text, "invalid"; decimal.is(value); decimal.compare(a, b) → -1,
   0, 1. Decimals of equal value are equal (==), also 1.0 and 1.00; < and <= are exact; tostring gives the very text;
   .. joins it. */
int luaopen_decimal(lua_State *L);

#endif
