/* cart.h: the Lua module `cart`: a cart's hash, read and changed by the cache role's own operations. */
#ifndef PERIGEE_CART_H
#define PERIGEE_CART_H
#include "base/cache_ops.h"
#include "lua/vm.h"

/* Makes `require "cart"` work in a trusted VM. All functions wait.
   cart.step(tenant, session) → step: see cart_step.h
   cart.load(tenant, session) → { version = n, fields = { name = text } }, or nil when there is none
   cart.save(tenant, session, { version = n, set = { name = text }, unset = { name, … }, ttl_s = n }) → the new version;
   on a failure nil, text, name: "precondition_failed" when the cart's version is another (0: there is none),
   "invalid". The table must outlive the VM. 0 or ERR_NO_MEMORY. */
int cart_open(vm_t *vm, const cache_ops_t *ops);

#endif
