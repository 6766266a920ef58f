/* array.c: reads and writes arrays: braces, quotes, backslashes and NULL. */
#include "postgres/array.h"
#include <lauxlib.h>
#include "base/err.h"
#include "postgres/cell.h"
#include "postgres/mark.h"

/* Reading. The scratch, of the text's length, takes one element at a time without its escapes. */
typedef struct reader {
    lua_State *L;
    Oid element;
    const char *at, *end;
    char *scratch;
} reader_t;

static int unreadable(reader_t *reader) {
    return luaL_error(reader->L, "an array that cannot be read");
}

static bool next_is(const reader_t *reader, char c) {
    return reader->at < reader->end && *reader->at == c;
}

static void expect(reader_t *reader, char c) {
    if (!next_is(reader, c)) unreadable(reader);
    reader->at++;
}

/* "[1:2][0:3]=" in front of an array whose lower bounds are not 1. */
static void skip_bounds(reader_t *reader) {
    if (!next_is(reader, '[')) return;
    while (reader->at < reader->end && *reader->at != '=')
        reader->at++;
    expect(reader, '=');
}

static span_t read_quoted(reader_t *reader) {
    span_t text = {reader->scratch, 0};
    expect(reader, '"');
    while (reader->at < reader->end && *reader->at != '"') {
        if (*reader->at == '\\') reader->at++;
        if (reader->at == reader->end) break;
        reader->scratch[text.len++] = *reader->at++;
    }
    expect(reader, '"');
    return text;
}

/* A value without quotes has no escapes, since the server quotes whatever would need one. */
static span_t read_bare(reader_t *reader) {
    const char *start = reader->at;
    while (reader->at < reader->end && !strchr(",{}\"", *reader->at))
        reader->at++;
    if (reader->at == start) unreadable(reader);
    return (span_t){start, (size_t)(reader->at - start)};
}

static void push_list(reader_t *reader, int depth);

static void push_item(reader_t *reader, int depth) {
    if (next_is(reader, '{')) {
        push_list(reader, depth + 1);
        return;
    }
    bool quoted = next_is(reader, '"');
    span_t text = quoted ? read_quoted(reader) : read_bare(reader);
    if (!quoted && span_eq(text, SPAN("NULL")))
        lua_pushlightuserdata(reader->L, NULL);
    else
        cell_push(reader->L, reader->element, text);
}

static void push_list(reader_t *reader, int depth) {
    int count = 0;
    if (depth > ARRAY_DEPTH) unreadable(reader);
    luaL_checkstack(reader->L, 6, "an array");
    lua_newtable(reader->L);
    mark_set(reader->L, MARK_ARRAY);
    expect(reader, '{');
    while (!next_is(reader, '}')) {
        if (count) expect(reader, ',');
        push_item(reader, depth);
        lua_rawseti(reader->L, -2, ++count);
    }
    reader->at++;
}

void array_push(lua_State *L, Oid element, span_t text) {
    reader_t reader = {L, element, text.ptr, text.ptr + text.len, NULL};
    luaL_checkstack(L, 4, "an array");
    reader.scratch = lua_newuserdata(L, text.len + 1);
    skip_bounds(&reader);
    push_list(&reader, 1);
    if (reader.at != reader.end) unreadable(&reader);
    lua_replace(L, -2);
}

/* Writing */

static void write_quoted(buf_t *out, span_t text) {
    buf_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') buf_char(out, '\\');
        buf_char(out, text.ptr[i]);
    }
    buf_char(out, '"');
}

static void write_hex(buf_t *out, span_t bytes) {
    buf_text(out, "\"\\\\x");
    for (size_t i = 0; i < bytes.len; i++)
        buf_printf(out, "%02x", (unsigned char)bytes.ptr[i]);
    buf_char(out, '"');
}

/* The element on top of the stack. Its text is written on its own first, since it gets quotes and escapes. */
static int write_scalar(lua_State *L, buf_t *out, fault_t *fault) {
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
        write_hex(out, buf_view(&text));
    else
        write_quoted(out, buf_view(&text));
    buf_destroy(&text);
    return err;
}

static bool is_list(lua_State *L, int index) {
    mark_t mark = mark_of(L, index);
    return lua_istable(L, index) && (mark == MARK_NONE || mark == MARK_ARRAY);
}

static int write_list(lua_State *L, int index, buf_t *out, int depth, fault_t *fault) {
    int err = 0, count = (int)lua_objlen(L, index);
    if (depth > ARRAY_DEPTH || !lua_checkstack(L, 6))
        return fault_set(fault, ERR_INVALID, "an array of more than %d dimensions", ARRAY_DEPTH);
    buf_char(out, '{');
    for (int i = 1; i <= count && !err; i++) {
        if (i > 1) buf_char(out, ',');
        lua_rawgeti(L, index, i);
        err = is_list(L, -1) ? write_list(L, lua_gettop(L), out, depth + 1, fault)
                             : write_scalar(L, out, fault);
        lua_pop(L, 1);
    }
    buf_char(out, '}');
    return err;
}

int array_write(lua_State *L, int index, buf_t *out, fault_t *fault) {
    return write_list(L, index, out, 1, fault);
}
