/* shop.h: the object `shop` of a tenant's routes.lua: a few services, scoped to the tenant in C whatever the script
   passes. */
#ifndef PERIGEE_SHOP_H
#define PERIGEE_SHOP_H
#include "request.h"

/* Most waits of one request of a tenant's route, and the longest they may take together. */
#define SHOP_CALLS_MAX 20
#define SHOP_MS 2000

/* Builds the object in a tenant's VM and leaves it on the stack; may raise, so call it protected. Its functions find
   their request as the user of the running task. */
void shop_push(lua_State *L);

#endif
