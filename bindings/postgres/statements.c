/* statements.c: copies statements and parameters into one text, and points the driver's structures into it. */
#include "postgres/statements.h"
#include <limits.h>
#include <string.h>
#include "base/err.h"

#define PARAMS_MOST 65535 /* the protocol's */

/* Where a value that is there points until statements_end knows its place. */
static const char THERE[] = "";

void statements_create(statements_t *statements) {
    buf_create(&statements->text);
    buf_create(&statements->params);
    buf_create(&statements->list);
}

void statements_destroy(statements_t *statements) {
    buf_destroy(&statements->text);
    buf_destroy(&statements->params);
    buf_destroy(&statements->list);
}

static int put_sql(statements_t *statements, span_t sql, int count) {
    postgres_statement_t statement = {.count = count};
    if (count > PARAMS_MOST)
        return fault_set(&statements->fault, ERR_INVALID, "more than %d parameters", PARAMS_MOST);
    if (memchr(sql.ptr, '\0', sql.len))
        return fault_set(&statements->fault, ERR_INVALID, "the SQL has a zero byte");
    buf_span(&statements->text, sql);
    buf_char(&statements->text, '\0');
    buf_put(&statements->list, &statement, sizeof statement);
    return 0;
}

static int put_param(statements_t *statements, lua_State *L, int index, int number) {
    size_t from = statements->text.len;
    param_kind_t kind;
    fault_t fault;
    int err = param_write(L, index, &statements->text, &kind, &fault);
    size_t len = statements->text.len - from;
    if (!err && len > INT_MAX / 2) err = fault_set(&fault, ERR_TOO_LARGE, "more than a gigabyte");
    if (err) return fault_set(&statements->fault, err, "parameter %d is %.150s", number, fault.why);
    buf_char(&statements->text, '\0');
    postgres_param_t param = {.value = kind == PARAM_NULL ? NULL : THERE,
        .length = (int)len,
        .format = kind == PARAM_BYTES};
    buf_put(&statements->params, &param, sizeof param);
    return 0;
}

int statements_add_text(statements_t *statements, const char *sql) {
    return put_sql(statements, span_of(sql), 0);
}

int statements_add(statements_t *statements, lua_State *L, int first) {
    span_t sql;
    int last = lua_gettop(L);
    if (lua_type(L, first) != LUA_TSTRING)
        return fault_set(&statements->fault, ERR_INVALID, "a statement's SQL expected");
    sql.ptr = lua_tolstring(L, first, &sql.len);
    int err = put_sql(statements, sql, last - first);
    for (int i = first + 1; i <= last && !err; i++)
        err = put_param(statements, L, i, i - first);
    return err;
}

/* The greatest index that the table has; -1 when it has other keys too. An n, as of table.pack, counts as well. */
static int extent(lua_State *L, int index) {
    double most = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        bool number = lua_type(L, -2) == LUA_TNUMBER;
        bool n = !number && lua_type(L, -2) == LUA_TSTRING && !strcmp(lua_tostring(L, -2), "n");
        double at = number ? lua_tonumber(L, -2) : n ? lua_tonumber(L, -1) + 1 : -1;
        lua_pop(L, 1);
        if (at < 1 || at > PARAMS_MOST + 1) {
            lua_pop(L, 1);
            return -1;
        }
        if (number && at > most) most = at;
        if (n && at - 1 > most) most = at - 1;
    }
    return (int)most;
}

static int put_table(statements_t *statements, lua_State *L, int index, int count) {
    span_t sql;
    lua_rawgeti(L, index, 1);
    sql.ptr = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &sql.len) : NULL;
    int err = sql.ptr ? put_sql(statements, sql, count - 1)
                      : fault_set(&statements->fault, ERR_INVALID, "its SQL expected first");
    lua_pop(L, 1);
    for (int i = 2; i <= count && !err; i++) {
        lua_rawgeti(L, index, i);
        err = put_param(statements, L, lua_gettop(L), i - 1);
        lua_pop(L, 1);
    }
    return err;
}

int statements_add_table(statements_t *statements, lua_State *L, int index) {
    if (!lua_istable(L, index) || !lua_checkstack(L, 8))
        return fault_set(&statements->fault, ERR_INVALID, "a table { sql, parameter … } expected");
    int count = extent(L, index);
    if (count < 0)
        return fault_set(&statements->fault, ERR_INVALID, "it has other keys than 1 to n");
    return put_table(statements, L, index, count);
}

int statements_end(statements_t *statements) {
    if (statements->text.failed || statements->params.failed || statements->list.failed)
        return ERR_NO_MEMORY;
    const char *at = statements->text.ptr;
    postgres_param_t *param = (postgres_param_t *)statements->params.ptr;
    postgres_statement_t *list = (postgres_statement_t *)statements->list.ptr;
    for (int i = 0; i < statements_count(statements); i++) {
        list[i].sql = at;
        list[i].params = param;
        at += strlen(at) + 1;
        for (int k = 0; k < list[i].count; k++, param++) {
            if (param->value) param->value = at;
            at += param->length + 1;
        }
    }
    return 0;
}
