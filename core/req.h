/* req.h: the request as a handler sees it: a small table whose other fields are filled on first use. */
#ifndef PERIGEE_REQ_H
#define PERIGEE_REQ_H
#include "request.h"

/* Registers the metatable in a trusted VM; call protected. */
void req_open(lua_State *L);
/* Pushes the table of the request; may raise. */
void req_push(lua_State *L, request_t *request);
/* The request of such a table; NULL when the value is none, or the request has ended. */
request_t *req_find(lua_State *L, int index);

/* The same parts for a tenant's own route. */
void req_push_params(lua_State *L, request_t *request);
void req_push_query(lua_State *L, request_t *request);

#endif
