/* cart_step.h: the Lua object that reads a cart, shows it priced, and changes it in one step. */
#ifndef PERIGEE_CART_STEP_H
#define PERIGEE_CART_STEP_H
#include "base/cache_ops.h"
#include <lua.h>

/* cart.step, with the table of operations (a cache_ops_t) as light userdata in its first upvalue.
   cart.step(tenant, session) → step; waits. On a failure nil, text, name, as everywhere below.
   step:version() → number, 0 without a cart; step:ids() → the products of its lines; step:cart() → { version, id,
   items = { { productId, sku, name, price, quantity, position } }, codes, address, option, updatedAt }.
   step:show{ slug =, products = { [id] = product or false }, explain = } → { cart =, quote =, lines = { id … } }: the
   cart priced, as rules.price says; lines are the products of the lines that could be bought.
   step:change{ slug =, products =, change =, ttl_s =, once = } → the same after a change (cart_change.h), written in
   one step; waits. When another one has written meanwhile, the cart is read and changed anew, again and again, unless
   `once` is set. Instead: { refused = reason, sku =, available = }, or { again = { id … } } when the cart has
   changed and products are missing for its lines, or `once` was set: then call it again with the products of these.
   "conflict" when others were always faster. */
int cart_step_new(lua_State *L);
/* Registers the object's metatable; call protected. */
void cart_step_open(lua_State *L);

#endif
