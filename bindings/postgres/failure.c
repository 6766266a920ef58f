/* failure.c: copies failures from the driver and pushes them. Values of rows are no part of what it passes on. */
#include "postgres/failure.h"
#include <stdio.h>
#include <string.h>
#include "base/err.h"
#include "lua/await.h"

void failure_set(failure_t *failure, int err, const char *detail) {
    *failure = (failure_t){.err = err};
    snprintf(failure->detail, sizeof failure->detail, "%s", detail ? detail : "");
}

void failure_of_query(failure_t *failure, const postgres_query_t *query, int skipped) {
    failure_set(failure, query->err, query->detail);
    memcpy(failure->sqlstate, query->sqlstate, sizeof failure->sqlstate);
    memcpy(failure->constraint, query->constraint, sizeof failure->constraint);
    memcpy(failure->table, query->table, sizeof failure->table);
    memcpy(failure->column, query->column, sizeof failure->column);
    if (query->failed >= skipped) failure->statement = query->failed - skipped + 1;
}

void failure_of_copy(failure_t *failure, const postgres_copy_t *copy) {
    failure_set(failure, copy->err, copy->detail);
    memcpy(failure->sqlstate, copy->sqlstate, sizeof failure->sqlstate);
    memcpy(failure->constraint, copy->constraint, sizeof failure->constraint);
    memcpy(failure->table, copy->table, sizeof failure->table);
    memcpy(failure->column, copy->column, sizeof failure->column);
}

static void put_text(lua_State *L, const char *name, const char *text) {
    if (!text[0]) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

int failure_push(lua_State *L, const failure_t *failure) {
    await_push_error(L, failure->err, failure->detail);
    lua_createtable(L, 0, 6);
    put_text(L, "sqlstate", failure->sqlstate);
    put_text(L, "constraint", failure->constraint);
    put_text(L, "table", failure->table);
    put_text(L, "column", failure->column);
    if (failure->err == ERR_INVALID && !failure->sqlstate[0]) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, "refused");
    }
    if (failure->statement) {
        lua_pushinteger(L, failure->statement);
        lua_setfield(L, -2, "statement");
    }
    return 4;
}
