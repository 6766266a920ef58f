/* call_lua.h: a script's wait for the answers to one command or to many. */
#ifndef PERIGEE_REDIS_CALL_LUA_H
#define PERIGEE_REDIS_CALL_LUA_H
#include <lua.h>
#include "redis/redis.h"

/* Where the commands go: to the engine's shared connections, or to a leased one. */
typedef struct redis_target {
    redis_t *redis;
    lease_t *lease;   /* NULL: shared */
    bool replica;     /* a replica may answer what only reads */
    uint64_t wait_ms; /* how long an answer may take; 0: command_ms */
} redis_target_t;

/* The arguments from `first` to the top are one command; its answer is what redis_value_results makes of it. Checks
   everything, then waits: the last statement of a C function. */
int call_lua_one(lua_State *L, const redis_target_t *target, int first);
/* The table at `list` holds commands, { name, argument … } each; the answer is the list of theirs. When not one of
   them got an answer it is nil, text, name. */
int call_lua_many(lua_State *L, const redis_target_t *target, int list);

#endif
