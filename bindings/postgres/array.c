/* array.c: what an array's text consists of. */
#include "postgres/array.h"
#include <string.h>

static bool next_is(const array_t *array, char c) {
    return array->at < array->end && *array->at == c;
}

static bool take(array_t *array, char c) {
    if (!next_is(array, c)) return false;
    array->at++;
    return true;
}

/* "[1:2][0:3]=" in front of an array whose lower bounds are not 1. */
static void skip_bounds(array_t *array) {
    if (!next_is(array, '[')) return;
    while (array->at < array->end && *array->at != '=')
        array->at++;
    take(array, '=');
}

void array_begin(array_t *array, span_t text, char *scratch) {
    *array = (array_t){.at = text.ptr, .end = text.ptr + text.len, .scratch = scratch};
    skip_bounds(array);
}

static array_piece_t open_brace(array_t *array) {
    if (array->depth == ARRAY_DEPTH || !take(array, '{')) return ARRAY_BAD;
    array->depth++;
    array->first = true;
    return ARRAY_OPEN;
}

/* The scratch takes the item without its escapes. */
static array_piece_t read_quoted(array_t *array) {
    array->text = (span_t){array->scratch, 0};
    array->at++;
    while (array->at < array->end && *array->at != '"') {
        if (*array->at == '\\') array->at++;
        if (array->at == array->end) break;
        array->scratch[array->text.len++] = *array->at++;
    }
    return take(array, '"') ? ARRAY_ITEM : ARRAY_BAD;
}

/* A value without quotes has no escapes, since the server quotes whatever would need one. */
static array_piece_t read_bare(array_t *array) {
    const char *start = array->at;
    while (array->at < array->end && !strchr(",{}\"", *array->at))
        array->at++;
    array->text = (span_t){start, (size_t)(array->at - start)};
    if (!array->text.len) return ARRAY_BAD;
    return span_eq(array->text, SPAN("NULL")) ? ARRAY_NULL : ARRAY_ITEM;
}

array_piece_t array_next(array_t *array) {
    if (array->whole) return array->at == array->end ? ARRAY_END : ARRAY_BAD;
    if (array->depth == 0) return open_brace(array);
    if (take(array, '}')) {
        array->first = false;
        array->whole = --array->depth == 0;
        return ARRAY_CLOSE;
    }
    if (!array->first && !take(array, ',')) return ARRAY_BAD;
    array->first = false;
    if (next_is(array, '{')) return open_brace(array);
    return next_is(array, '"') ? read_quoted(array) : read_bare(array);
}

void array_put(buf_t *out, span_t text) {
    buf_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') buf_char(out, '\\');
        buf_char(out, text.ptr[i]);
    }
    buf_char(out, '"');
}

void array_put_bytes(buf_t *out, span_t bytes) {
    buf_text(out, "\"\\\\x");
    for (size_t i = 0; i < bytes.len; i++)
        buf_printf(out, "%02x", (unsigned char)bytes.ptr[i]);
    buf_char(out, '"');
}
