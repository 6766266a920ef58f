/* value_json.c: plain data from JSON text and to it. */
#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>
#include "base/err.h"
#include "base/number.h"
#include "lua/json_encode.h"
#include "lua/value.h"

typedef struct reader {
    arena_t *arena;
    int depth; /* left */
    size_t nodes, bytes;
    bool exact;
    const char *what;
} reader_t;

static int read_value(reader_t *reader, yyjson_val *json, value_t *out);

static int refuse(reader_t *reader, const char *what) {
    reader->what = what;
    return ERR_BAD_JSON;
}

static int copy_text(reader_t *reader, yyjson_val *json, span_t *out) {
    span_t text = {unsafe_yyjson_get_raw(json), unsafe_yyjson_get_len(json)};
    if (text.len > reader->bytes) return refuse(reader, "the texts are too long");
    reader->bytes -= text.len;
    char *copy = arena_dup(reader->arena, text.ptr, text.len);
    if (copy == NULL) return ERR_NO_MEMORY;
    *out = (span_t){copy, text.len};
    return 0;
}

static int read_number(reader_t *reader, yyjson_val *json, value_t *out) {
    span_t text = {unsafe_yyjson_get_raw(json), unsafe_yyjson_get_len(json)};
    out->kind = VALUE_INT;
    if (span_to_i64(text, &out->integer) == 0) return 0;
    if (reader->exact) {
        out->kind = VALUE_STRING;
        return copy_text(reader, json, &out->string);
    }
    out->kind = VALUE_NUMBER;
    out->number = strtod(text.ptr, NULL);
    if (out->number - out->number != 0) return refuse(reader, "a number is too large");
    return 0;
}

static int read_list(reader_t *reader, yyjson_val *json, value_t *out) {
    size_t n = yyjson_arr_size(json);
    value_t *items = arena_alloc(reader->arena, (n + 1) * sizeof *items);
    if (items == NULL) return ERR_NO_MEMORY;
    yyjson_val *item = yyjson_arr_get_first(json);
    for (size_t i = 0; i < n; i++, item = unsafe_yyjson_get_next(item)) {
        int err = read_value(reader, item, &items[i]);
        if (err != 0) return err;
    }
    out->kind = VALUE_LIST;
    out->list.items = items;
    out->list.count = n;
    return 0;
}

static int compare(const void *a, const void *b) {
    const value_pair_t *x = a, *y = b;
    size_t len = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order = len != 0 ? memcmp(x->key.ptr, y->key.ptr, len) : 0;
    if (order == 0) order = (x->key.len > y->key.len) - (x->key.len < y->key.len);
    return order != 0 ? order : (x->value > y->value) - (x->value < y->value);
}

/* Of two members of one name the later one counts, as for scripts. */
static size_t drop_doubles(value_pair_t *pairs, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && span_eq(pairs[kept - 1].key, pairs[i].key)) kept--;
        pairs[kept++] = pairs[i];
    }
    return kept;
}

static int read_object(reader_t *reader, yyjson_val *json, value_t *out) {
    size_t n = yyjson_obj_size(json), i = 0;
    value_pair_t *pairs = arena_alloc(reader->arena, (n + 1) * sizeof *pairs);
    value_t *values = arena_alloc(reader->arena, (n + 1) * sizeof *values);
    if (pairs == NULL || values == NULL) return ERR_NO_MEMORY;
    yyjson_obj_iter iter = yyjson_obj_iter_with(json);
    for (yyjson_val *name; (name = yyjson_obj_iter_next(&iter)) != NULL; i++) {
        pairs[i].value = &values[i];
        int err = copy_text(reader, name, &pairs[i].key);
        if (err == 0) err = read_value(reader, yyjson_obj_iter_get_val(name), &values[i]);
        if (err != 0) return err;
    }
    qsort(pairs, n, sizeof *pairs, compare);
    out->kind = VALUE_TABLE;
    out->table.pairs = pairs;
    out->table.count = drop_doubles(pairs, n);
    return 0;
}

static int read_container(reader_t *reader, yyjson_val *json, value_t *out) {
    if (reader->depth == 0) return refuse(reader, "too many levels");
    reader->depth--;
    int err = yyjson_is_arr(json) ? read_list(reader, json, out) : read_object(reader, json, out);
    reader->depth++;
    return err;
}

static int read_value(reader_t *reader, yyjson_val *json, value_t *out) {
    if (reader->nodes == 0) return refuse(reader, "too many values");
    reader->nodes--;
    switch (yyjson_get_type(json)) {
    case YYJSON_TYPE_NULL:
        out->kind = VALUE_NIL;
        return 0;
    case YYJSON_TYPE_BOOL:
        *out = (value_t){.kind = VALUE_BOOL, .boolean = yyjson_get_bool(json)};
        return 0;
    case YYJSON_TYPE_RAW:
        return read_number(reader, json, out);
    case YYJSON_TYPE_STR:
        out->kind = VALUE_STRING;
        return copy_text(reader, json, &out->string);
    default:
        return read_container(reader, json, out);
    }
}

int value_parse(span_t json, arena_t *arena, const value_limits_t *limits, bool exact, value_t *out,
    char *why, size_t size) {
    reader_t reader = {
        .arena = arena, .nodes = limits->nodes, .bytes = limits->bytes, .exact = exact};
    reader.depth = limits->depth < JSON_DEPTH ? limits->depth : JSON_DEPTH;
    yyjson_read_err failure = {.msg = "the text is empty"};
    yyjson_doc *doc = json.len == 0 ? NULL
                                    : yyjson_read_opts((char *)json.ptr, json.len,
                                          YYJSON_READ_NUMBER_AS_RAW, NULL, &failure);
    if (doc == NULL) {
        bool memory = failure.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION;
        snprintf(why, size, "%s at byte %zu", failure.msg, failure.pos + 1);
        return memory ? ERR_NO_MEMORY : ERR_BAD_JSON;
    }
    int err = read_value(&reader, yyjson_doc_get_root(doc), out);
    yyjson_doc_free(doc);
    if (err != 0) snprintf(why, size, "%s", reader.what != NULL ? reader.what : err_text(err));
    return err;
}

static void put_list(buf_t *buf, const value_t *value) {
    buf_char(buf, '[');
    for (size_t i = 0; i < value->list.count; i++) {
        if (i > 0) buf_char(buf, ',');
        value_json(buf, &value->list.items[i]);
    }
    buf_char(buf, ']');
}

static void put_table(buf_t *buf, const value_t *value) {
    buf_char(buf, '{');
    for (size_t i = 0; i < value->table.count; i++) {
        const value_pair_t *pair = &value->table.pairs[i];
        if (i > 0) buf_char(buf, ',');
        buf_json(buf, pair->key);
        buf_char(buf, ':');
        value_json(buf, pair->value);
    }
    buf_char(buf, '}');
}

void value_json(buf_t *buf, const value_t *value) {
    switch (value->kind) {
    case VALUE_NIL:
        buf_text(buf, "null");
        return;
    case VALUE_BOOL:
        buf_text(buf, value->boolean ? "true" : "false");
        return;
    case VALUE_INT:
        buf_i64(buf, value->integer);
        return;
    case VALUE_NUMBER:
        number_put(buf, value->number);
        return;
    case VALUE_STRING:
        buf_json(buf, value->string);
        return;
    case VALUE_LIST:
        put_list(buf, value);
        return;
    case VALUE_TABLE:
        put_table(buf, value);
    }
}
