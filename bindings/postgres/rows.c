/* rows.c: pushes rows, from a result or from pieces that were copied out of results. */
#include "postgres/rows.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"
#include "postgres/cell.h"

/* Where the next cell is: in a row of a result, or in the cells that were copied. */
typedef struct cursor {
    const PGresult *columns;
    const PGresult *result; /* NULL: copied */
    int row;
    const char *at;
} cursor_t;

static bool next_cell(cursor_t *cursor, int column, span_t *text) {
    if (cursor->result) {
        if (PQgetisnull(cursor->result, cursor->row, column)) return false;
        text->ptr = PQgetvalue(cursor->result, cursor->row, column);
        text->len = (size_t)PQgetlength(cursor->result, cursor->row, column);
        return true;
    }
    int32_t len;
    memcpy(&len, cursor->at, sizeof len);
    cursor->at += sizeof len;
    if (len < 0) return false;
    *text = (span_t){cursor->at, (size_t)len};
    cursor->at += len;
    return true;
}

/* The columns' names, on the stack once instead of a look-up for each cell; answers where the first is. */
static int push_names(lua_State *L, const PGresult *columns) {
    int count = PQnfields(columns);
    luaL_checkstack(L, count + 8, "too many columns");
    for (int i = 0; i < count; i++)
        lua_pushstring(L, PQfname(columns, i));
    return lua_gettop(L) - count + 1;
}

static void push_row(lua_State *L, cursor_t *cursor, int names) {
    int count = PQnfields(cursor->columns);
    lua_createtable(L, 0, count);
    for (int i = 0; i < count; i++) {
        span_t text;
        if (!next_cell(cursor, i, &text)) continue;
        lua_pushvalue(L, names + i);
        cell_push(L, PQftype(cursor->columns, i), text);
        lua_rawset(L, -3);
    }
    cursor->row++;
}

/* Leaves what is on top of the names in their place. */
static void drop_names(lua_State *L, int names) {
    if (lua_gettop(L) > names) lua_replace(L, names);
    lua_settop(L, names);
}

static void push_rows(lua_State *L, cursor_t *cursor, int count) {
    int names = push_names(L, cursor->columns);
    lua_createtable(L, count, 0);
    for (int i = 1; i <= count; i++) {
        push_row(L, cursor, names);
        lua_rawseti(L, -2, i);
    }
    drop_names(L, names);
}

void rows_push(lua_State *L, const PGresult *result) {
    cursor_t cursor = {.columns = result, .result = result};
    push_rows(L, &cursor, PQntuples(result));
}

void rows_push_first(lua_State *L, const PGresult *result) {
    cursor_t cursor = {.columns = result, .result = result};
    if (!PQntuples(result)) {
        lua_pushnil(L);
        return;
    }
    int names = push_names(L, result);
    push_row(L, &cursor, names);
    drop_names(L, names);
}

double rows_affected(const PGresult *result) {
    return strtod(PQcmdTuples((PGresult *)result), NULL);
}

void rows_create(rows_t *rows) {
    *rows = (rows_t){0};
    buf_create(&rows->cells);
}

void rows_destroy(rows_t *rows) {
    PQclear(rows->columns);
    buf_destroy(&rows->cells);
}

int rows_add(rows_t *rows, const PGresult *piece) {
    int columns = PQnfields(piece);
    if (!rows->columns) rows->columns = PQcopyResult(piece, PG_COPYRES_ATTRS);
    if (!rows->columns) return ERR_NO_MEMORY;
    for (int row = 0; row < PQntuples(piece); row++, rows->count++) {
        for (int i = 0; i < columns; i++) {
            bool null = PQgetisnull(piece, row, i);
            int32_t len = null ? -1 : PQgetlength(piece, row, i);
            buf_put(&rows->cells, &len, sizeof len);
            if (!null) buf_put(&rows->cells, PQgetvalue(piece, row, i), (size_t)len);
        }
    }
    return rows->cells.failed ? ERR_NO_MEMORY : 0;
}

void rows_push_added(lua_State *L, const rows_t *rows) {
    cursor_t cursor = {.columns = rows->columns, .at = rows->cells.ptr};
    push_rows(L, &cursor, rows->count);
}

void rows_clear(rows_t *rows) {
    buf_reset(&rows->cells);
    rows->count = 0;
}
