/* cell.c: reads the server's text of a value by its type. */
#include "postgres/cell.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "lua/decimal.h"
#include "lua/json.h"
#include "postgres/array.h"
#include "postgres/mark.h"
#include "postgres/oids.h"

#define WHOLE_MOST 9007199254740992 /* 2^53 */
#define FLOAT_MOST 64

static void push_text(lua_State *L, span_t text) {
    lua_pushlstring(L, text.ptr, text.len);
}

/* NaN, the infinities and more than 1000 digits are none, and stay texts. */
static void push_decimal(lua_State *L, span_t text) {
    if (decimal_valid(text))
        decimal_push(L, text);
    else
        push_text(L, text);
}

static void push_integer(lua_State *L, span_t text) {
    int64_t value;
    bool fits = span_to_i64(text, &value) == 0 && value >= -WHOLE_MOST && value <= WHOLE_MOST;
    if (fits)
        lua_pushnumber(L, (lua_Number)value);
    else
        push_decimal(L, text);
}

static void push_float(lua_State *L, span_t text) {
    char copy[FLOAT_MOST], *end;
    snprintf(copy, sizeof copy, "%.*s", (int)(text.len < FLOAT_MOST ? text.len : 0), text.ptr);
    double value = strtod(copy, &end);
    if (end == copy || *end)
        push_text(L, text);
    else
        lua_pushnumber(L, value);
}

static void push_json(lua_State *L, span_t text) {
    char why[160];
    if (json_decode(L, text, why, sizeof why)) luaL_error(L, "a JSON value: %s", why);
}

/* Bytes */

/* Room for the bytes, which are never more than the text's; the collector frees it. */
static char *room_for(lua_State *L, span_t text) {
    return lua_newuserdata(L, text.len + 1);
}

static size_t from_hex(span_t text, char *out) {
    size_t count = 0;
    for (size_t i = 0; i + 1 < text.len; i += 2)
        out[count++] = (char)(hex_value(text.ptr[i]) * 16 + hex_value(text.ptr[i + 1]));
    return count;
}

static bool is_octal(const char *at) {
    return at[0] >= '0' && at[0] <= '3' && at[1] >= '0' && at[1] <= '7' && at[2] >= '0' &&
           at[2] <= '7';
}

/* The older form, bytea_output = escape: \\ and \ooo. */
static size_t from_escapes(span_t text, char *out) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.ptr + i;
        if (*at != '\\') {
            out[count++] = *at;
        } else if (i + 3 < text.len && is_octal(at + 1)) {
            out[count++] = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
            i += 3;
        } else {
            out[count++] = '\\';
            i++;
        }
    }
    return count;
}

static void push_bytes(lua_State *L, span_t text) {
    char *room = room_for(L, text);
    size_t count;
    if (span_starts(text, SPAN("\\x")))
        count = from_hex((span_t){text.ptr + 2, text.len - 2}, room);
    else
        count = from_escapes(text, room);
    lua_pushlstring(L, room, count);
    lua_replace(L, -2);
}

/* Times */

/* Whether it has the form of DateStyle ISO: not BC, not infinity. */
static bool is_iso(span_t text, size_t *day) {
    size_t len = 0;
    while (len < text.len && text.ptr[len] != ' ')
        len++;
    *day = len;
    return len >= 10 && text.len >= len + 9 && text.ptr[len - 3] == '-' &&
           text.ptr[len + 3] == ':' && text.ptr[text.len - 1] >= '0' &&
           text.ptr[text.len - 1] <= '9';
}

/* Where the offset behind the time begins; the length when there is none. */
static size_t offset_at(span_t text, size_t day) {
    size_t i = day + 1;
    while (i < text.len && text.ptr[i] != '+' && text.ptr[i] != '-')
        i++;
    return i;
}

/* "2024-11-21 10:00:00.5+00" becomes "2024-11-21T10:00:00.5Z"; offsets get their minutes. */
static void push_time(lua_State *L, span_t text) {
    size_t day;
    if (!is_iso(text, &day)) {
        push_text(L, text);
        return;
    }
    size_t at = offset_at(text, day);
    span_t offset = {text.ptr + at, text.len - at};
    const char *tail = offset.len == 3 ? ":00" : "";
    if (span_eq(offset, SPAN("+00"))) {
        offset.len = 0;
        tail = "Z";
    }
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    luaL_addlstring(&out, text.ptr, day);
    luaL_addchar(&out, 'T');
    luaL_addlstring(&out, text.ptr + day + 1, at - day - 1);
    luaL_addlstring(&out, offset.ptr, offset.len);
    luaL_addstring(&out, tail);
    luaL_pushresult(&out);
}

static void push_list(lua_State *L, Oid element, array_t *array);

static void push_item(lua_State *L, Oid element, array_t *array, array_piece_t piece) {
    if (piece == ARRAY_OPEN)
        push_list(L, element, array);
    else if (piece == ARRAY_NULL)
        lua_pushlightuserdata(L, NULL);
    else if (piece == ARRAY_ITEM)
        cell_push(L, element, array->text);
    else
        luaL_error(L, "an array that cannot be read");
}

/* Its brace has been opened. */
static void push_list(lua_State *L, Oid element, array_t *array) {
    int count = 0;
    luaL_checkstack(L, 6, "an array");
    lua_newtable(L);
    mark_set(L, MARK_ARRAY);
    for (array_piece_t piece; (piece = array_next(array)) != ARRAY_CLOSE;) {
        push_item(L, element, array, piece);
        lua_rawseti(L, -2, ++count);
    }
}

static void push_array(lua_State *L, Oid element, span_t text) {
    array_t array;
    luaL_checkstack(L, 4, "an array");
    array_begin(&array, text, lua_newuserdata(L, text.len + 1));
    push_item(L, element, &array, array_next(&array));
    if (array_next(&array) != ARRAY_END) luaL_error(L, "an array that cannot be read");
    lua_replace(L, -2);
}

void cell_push(lua_State *L, Oid type, span_t text) {
    Oid element = oid_element(type);
    if (element) {
        push_array(L, element, text);
        return;
    }
    switch (type) {
    case OID_BOOL:
        lua_pushboolean(L, text.len && text.ptr[0] == 't');
        return;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
        push_integer(L, text);
        return;
    case OID_FLOAT4:
    case OID_FLOAT8:
        push_float(L, text);
        return;
    case OID_NUMERIC:
        push_decimal(L, text);
        return;
    case OID_JSON:
    case OID_JSONB:
        push_json(L, text);
        return;
    case OID_BYTEA:
        push_bytes(L, text);
        return;
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        push_time(L, text);
        return;
    default:
        push_text(L, text);
    }
}
