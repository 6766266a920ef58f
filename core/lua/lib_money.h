/* lib_money.h: the money module of trusted scripts. */
#ifndef PERIGEE_LUA_LIB_MONEY_H
#define PERIGEE_LUA_LIB_MONEY_H
#include <lua.h>

/* money.digits(code) → minor digits, or nil for an unknown currency; money.parse(decimal, number or text,
   digits) → whole minor units | nil, text, name; money.decimal(minor, digits) → decimal; money.format(minor,
   digits) → text. The VM must have the decimal module open. Leaves the module on the stack. */
int luaopen_money(lua_State *L);

#endif
