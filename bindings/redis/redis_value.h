/* redis_value.h: an answer outside of hiredis and of any VM: packed from a reply, pushed as plain Lua data. */
#ifndef PERIGEE_REDIS_VALUE_H
#define PERIGEE_REDIS_VALUE_H
#include <lua.h>
#include "redis/redis.h"

#define REDIS_VALUE_DEPTH 64

/* Appends the reply (NULL is nil) as the flags of its command (verbs.h) say. 0, ERR_TOO_LARGE when it nests too deep,
   ERR_NO_MEMORY. */
int redis_value_pack(buf_t *out, const redisReply *reply, unsigned flags);
/* Appends a failure, which is pushed as an error answer is. */
void redis_value_pack_error(buf_t *out, int err, const char *detail);
/* Pushes the value at *at, and moves *at behind it. A text is a string, whatever its bytes; a whole number within
   2^53 is a number, beyond it a decimal; a list is a table, a map a table by its keys; nil inside of them is the light
   userdata NULL (json.null), and an error { error = name, detail = text }. May raise when out of memory. */
void redis_value_push(lua_State *L, const buf_t *values, size_t *at);
/* The same as the results of a function: nil, text, name for an error, a plain nil for nil. Returns how many. */
int redis_value_results(lua_State *L, const buf_t *values, size_t *at);

#endif
