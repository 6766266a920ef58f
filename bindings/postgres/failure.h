/* failure.h: why a query or a COPY failed, kept until the script hears of it. */
#ifndef PERIGEE_POSTGRES_FAILURE_H
#define PERIGEE_POSTGRES_FAILURE_H
#include <lua.h>
#include "postgres/postgres.h"

typedef struct failure {
    int err; /* 0: it has not failed */
    char detail[POSTGRES_DETAIL_MAX];
    char sqlstate[6];
    char constraint[POSTGRES_NAME_MAX], table[POSTGRES_NAME_MAX], column[POSTGRES_NAME_MAX];
    int statement; /* of a batch, from 1; 0: none */
} failure_t;

void failure_of_query(failure_t *failure, const postgres_query_t *query, int skipped);
void failure_of_copy(failure_t *failure, const postgres_copy_t *copy);
void failure_set(failure_t *failure, int err, const char *detail); /* detail may be NULL or "" */
/* Pushes nil, a sentence, a name, and what the server said beside them: { sqlstate, constraint, table, column,
   statement }, where what it did not say is absent; refused is true when the driver did not send it. Returns 4. */
int failure_push(lua_State *L, const failure_t *failure);

#endif
