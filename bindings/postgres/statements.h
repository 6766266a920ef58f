/* statements.h: a script's statements with their parameters, copied out of its VM for the driver. */
#ifndef PERIGEE_POSTGRES_STATEMENTS_H
#define PERIGEE_POSTGRES_STATEMENTS_H
#include <lua.h>
#include "postgres/param.h"
#include "postgres/postgres.h"

typedef struct statements {
    buf_t text; /* each statement's SQL and its values, in order, each with a NUL behind it */
    buf_t params, list; /* postgres_param_t, postgres_statement_t */
    fault_t fault;      /* why the last call failed */
} statements_t;

/* Allocates nothing. None of these raises. */
void statements_create(statements_t *statements);
void statements_destroy(statements_t *statements);
/* One statement: its SQL at `first`, its parameters from there to the top. 0, or an error with its sentence in
   fault, as all of these. */
int statements_add(statements_t *statements, lua_State *L, int first);
/* One statement as a table at index: { sql, parameter … }. */
int statements_add_table(statements_t *statements, lua_State *L, int index);
/* A statement of one's own, without parameters. */
int statements_add_text(statements_t *statements, const char *sql);
/* Points everything at its place; nothing may be added any more. 0 or ERR_NO_MEMORY. */
int statements_end(statements_t *statements);
static inline int statements_count(const statements_t *statements) {
    return (int)(statements->list.len / sizeof(postgres_statement_t));
}
static inline const postgres_statement_t *statements_all(const statements_t *statements) {
    return (const postgres_statement_t *)statements->list.ptr;
}

#endif
