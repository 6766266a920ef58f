/* query_lua.h: a script's wait for the answer to one statement, or to several that share one fate. */
#ifndef PERIGEE_POSTGRES_QUERY_LUA_H
#define PERIGEE_POSTGRES_QUERY_LUA_H
#include <lua.h>
#include "postgres/leased.h"

/* How a script wants a query to be run: a table, or nil. */
typedef struct query_options {
    span_t tenant;       /* alive as long as the table is */
    uint64_t timeout_ms; /* 0: the driver's */
    uint64_t min_lsn;
    bool replica, slow, repeatable;
} query_options_t;
/* Reads { tenant, timeout_ms, min_lsn, replica, slow, repeatable } at index; raises what is wrong. */
void query_options_check(lua_State *L, int index, query_options_t *options);
/* The deadline of the options in loop time, 0 without one. */
uint64_t query_options_deadline(const query_options_t *options, loop_t *loop);

typedef enum {
    QUERY_ROWS,  /* the list of rows */
    QUERY_ONE,   /* the first row, or nil */
    QUERY_COUNT, /* how many rows it affected */
    QUERY_BATCH, /* of several statements, each one's rows, or the count for those that answer none */
    QUERY_START, /* nothing but the transaction that is owed: true */
    QUERY_COMMIT /* true */
} query_kind_t;

/* Runs on shared connections, or with `leased` on that one. At `first` are the options, then the SQL and its
   parameters, or for QUERY_BATCH the list of statements as tables. The result is as the kind says, or nil, text, name,
   and what the server said (failure.h). Checks everything, then waits: the last statement of a C function. */
int query_lua_run(
    lua_State *L, postgres_t *postgres, leased_t *leased, query_kind_t kind, int first);

#endif
