/* rows.h: rows outside of any VM, taken from the driver, and as tables by the columns' names. */
#ifndef PERIGEE_POSTGRES_ROWS_H
#define PERIGEE_POSTGRES_ROWS_H
#include <lua.h>
#include "base/bytes.h"
#include "postgres/postgres.h"

/* Pushes the list of a result's rows, or the first of them (nil when there is none). A column that is NULL is absent;
   of columns with one name the last counts. May raise (cell.h). */
void rows_push(lua_State *L, const PGresult *result);
void rows_push_first(lua_State *L, const PGresult *result);
/* How many rows the statement affected; 0 for those that affect none. */
double rows_affected(const PGresult *result);

/* Rows of one statement that come in pieces. */
typedef struct rows {
    PGresult *columns; /* without rows; NULL before the first piece */
    buf_t cells;       /* each row's: an int32 length, -1 for NULL, and the text */
    int count;
} rows_t;

void rows_create(rows_t *rows);
void rows_destroy(rows_t *rows);
int rows_add(rows_t *rows, const PGresult *piece); /* 0 or ERR_NO_MEMORY */
/* Pushes the list of all that have been added; then call rows_clear, which keeps the columns. */
void rows_push_added(lua_State *L, const rows_t *rows);
void rows_clear(rows_t *rows);

#endif
