/* param.c: writes a script's value as a parameter's text. */
#include "postgres/param.h"
#include <math.h>
#include <stdio.h>
#include "base/err.h"
#include "base/number.h"
#include "lua/decimal.h"
#include "lua/json_encode.h"
#include "postgres/array.h"
#include "postgres/mark.h"

int fault_set(fault_t *fault, int err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(fault->why, sizeof fault->why, format, args);
    va_end(args);
    return err;
}

/* The server would take a zero byte for the end. */
static int write_text(lua_State *L, int index, buf_t *out, fault_t *fault) {
    span_t text;
    text.ptr = lua_tolstring(L, index, &text.len);
    if (memchr(text.ptr, '\0', text.len))
        return fault_set(
            fault, ERR_INVALID, "a text with a zero byte; pg.bytes(text) is for bytes");
    buf_span(out, text);
    return 0;
}

static void write_number(lua_State *L, int index, buf_t *out) {
    double number = lua_tonumber(L, index);
    if (isnan(number))
        buf_text(out, "NaN");
    else if (isinf(number))
        buf_text(out, number > 0 ? "Infinity" : "-Infinity");
    else
        number_put(out, number);
}

static int write_json(lua_State *L, int index, buf_t *out, fault_t *fault) {
    char why[160];
    int err = json_encode(L, index, out, why, sizeof why);
    return err ? fault_set(fault, err, "not JSON: %s", why) : 0;
}

/* The table at index is a mark around one value. */
static int write_inner(lua_State *L, int index, mark_t mark, buf_t *out, fault_t *fault) {
    int err = 0;
    lua_rawgeti(L, index, 1);
    if (mark == MARK_JSON) {
        err = write_json(L, lua_gettop(L), out, fault);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        size_t len;
        const char *bytes = lua_tolstring(L, -1, &len);
        buf_put(out, bytes, len);
    }
    lua_pop(L, 1);
    return err;
}

/* The item on top of the stack. Its text is written on its own first, since it gets quotes and escapes. */
static int write_item(lua_State *L, buf_t *out, fault_t *fault) {
    buf_t text;
    param_kind_t kind;
    fault_t inner;
    buf_create(&text);
    int err = param_write(L, lua_gettop(L), &text, &kind, &inner);
    if (err)
        fault_set(fault, err, "an array with %.150s", inner.why);
    else if (kind == PARAM_NULL)
        buf_text(out, "NULL");
    else if (kind == PARAM_BYTES)
        array_put_bytes(out, buf_view(&text));
    else
        array_put(out, buf_view(&text));
    buf_destroy(&text);
    return err;
}

static bool is_list(lua_State *L, int index) {
    mark_t mark = mark_of(L, index);
    return lua_istable(L, index) && (mark == MARK_NONE || mark == MARK_ARRAY);
}

/* Lists inside of a list are its further dimensions. */
static int write_list(lua_State *L, int index, buf_t *out, int depth, fault_t *fault) {
    int err = 0, count = (int)lua_objlen(L, index);
    if (depth > ARRAY_DEPTH || !lua_checkstack(L, 6))
        return fault_set(fault, ERR_INVALID, "an array of more than %d dimensions", ARRAY_DEPTH);
    buf_char(out, '{');
    for (int i = 1; i <= count && !err; i++) {
        if (i > 1) buf_char(out, ',');
        lua_rawgeti(L, index, i);
        err = is_list(L, -1) ? write_list(L, lua_gettop(L), out, depth + 1, fault)
                             : write_item(L, out, fault);
        lua_pop(L, 1);
    }
    buf_char(out, '}');
    return err;
}

static int write_table(lua_State *L, int index, buf_t *out, param_kind_t *kind, fault_t *fault) {
    mark_t mark = mark_of(L, index);
    switch (mark) {
    case MARK_ARRAY:
        return write_list(L, index, out, 1, fault);
    case MARK_BYTES:
        *kind = PARAM_BYTES;
        return write_inner(L, index, mark, out, fault);
    case MARK_JSON:
        return write_inner(L, index, mark, out, fault);
    default:
        return write_json(L, index, out, fault);
    }
}

static int write_other(lua_State *L, int index, buf_t *out, param_kind_t *kind, fault_t *fault) {
    span_t text;
    if (decimal_at(L, index, &text)) {
        buf_span(out, text);
        return 0;
    }
    if (lua_islightuserdata(L, index) && !lua_touserdata(L, index)) {
        *kind = PARAM_NULL;
        return 0;
    }
    const char *type = lua_typename(L, lua_type(L, index));
    return fault_set(fault, ERR_INVALID, "a %s, which PostgreSQL has not", type);
}

static int write_value(lua_State *L, int index, buf_t *out, param_kind_t *kind, fault_t *fault) {
    switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TNONE:
        return fault_set(fault, ERR_INVALID, "nil; NULL is pg.null");
    case LUA_TSTRING:
        return write_text(L, index, out, fault);
    case LUA_TNUMBER:
        write_number(L, index, out);
        return 0;
    case LUA_TBOOLEAN:
        buf_text(out, lua_toboolean(L, index) ? "true" : "false");
        return 0;
    case LUA_TTABLE:
        return write_table(L, index, out, kind, fault);
    default:
        return write_other(L, index, out, kind, fault);
    }
}

int param_write(lua_State *L, int index, buf_t *out, param_kind_t *kind, fault_t *fault) {
    *kind = PARAM_TEXT;
    if (!lua_checkstack(L, 8)) return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    int err = write_value(L, index, out, kind, fault);
    if (err || !out->failed) return err;
    return fault_set(fault, ERR_NO_MEMORY, "out of memory");
}
