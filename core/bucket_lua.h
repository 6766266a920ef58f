/* bucket_lua.h: the Lua module `bucket`: takes from a rate limit's bucket by the cache role's own operation. */
#ifndef PERIGEE_BUCKET_LUA_H
#define PERIGEE_BUCKET_LUA_H
#include "base/cache_ops.h"
#include "lua/vm.h"

/* Makes `require "bucket"` work in a trusted VM.
   bucket.take(tenant, route, interval_us, capacity_us) → ahead_us, as in cache_gate_t; waits. On a failure nil, text,
   name. The table must outlive the VM. 0 or ERR_NO_MEMORY. */
int bucket_lua_open(vm_t *vm, const cache_ops_t *ops);

#endif
