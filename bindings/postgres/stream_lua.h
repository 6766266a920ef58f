/* stream_lua.h: rows, or the bytes of a COPY, that a script takes as they come. */
#ifndef PERIGEE_POSTGRES_STREAM_LUA_H
#define PERIGEE_POSTGRES_STREAM_LUA_H
#include <lua.h>
#include "postgres/leased.h"

typedef struct stream stream_t;

/* Makes the metatable; may raise. */
void stream_lua_open(lua_State *L);
/* Starts a statement and pushes a stream of its rows. At `first` are options, SQL and parameters. The stream's next()
   waits for rows, and answers the list of those that have come; nil at the end; or nil, text, name and what the server
   said. It reads ahead a few hundred kilobytes at most; the server waits meanwhile. close() wants no more: what still
   comes is dropped. */
int stream_lua_rows(lua_State *L, leased_t *leased, int first);
/* The same for COPY … TO STDOUT: options, SQL; next() answers bytes, which end with a row's end. */
int stream_lua_copy(lua_State *L, leased_t *leased, int first);
/* As close(). */
void stream_drop(stream_t *stream);

#endif
