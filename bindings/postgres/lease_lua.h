/* lease_lua.h: a connection of one's own in a script's hands. */
#ifndef PERIGEE_POSTGRES_LEASE_LUA_H
#define PERIGEE_POSTGRES_LEASE_LUA_H
#include <lua.h>
#include "postgres/leased.h"

/* Makes the metatable; may raise. */
void lease_handle_open(lua_State *L);
/* lease(options) → connection, after a wait; options.tenant puts up the fence on it and counts as whose share it is.
   Its methods:
   begin(sql, name)   a transaction begins with the next statement, in one round trip; waits for nothing
   start()            waits until the transaction has begun, for what cannot travel with it
   query, one, exec   (options, sql, …), batch(options, list), commit(options): query_lua.h
   rows(options, sql, …) → stream: stream_lua.h
   copy_in(options, sql) → copy, copy_out(options, sql) → stream: copy_lua.h
   close(clean)       gives it back; unless clean, what is open is rolled back, and nobody waits for that */
int lease_handle_get(lua_State *L, postgres_t *postgres);

#endif
