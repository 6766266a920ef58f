/* http_lua.h: the native module `http` of scripts. */
#ifndef PERIGEE_HTTP_LUA_H
#define PERIGEE_HTTP_LUA_H
#include "http/client.h"
#include "lua/vm.h"

/* Makes `require "http"` work in this VM; once per VM, all of them share the client. Only with allow_private may
   scripts pass `private = true` and reach private addresses: never give it to a tenant. 0, ERR_NO_MEMORY or
   ERR_RULE_ERROR. */
int http_lua_open(vm_t *vm, client_t *client, bool allow_private);

#endif
