/* value.h: plain data outside of any VM: packed from a Lua stack, pushed on another, or read field by field from C. */
#ifndef PERIGEE_LUA_VALUE_H
#define PERIGEE_LUA_VALUE_H
#include <lua.h>
#include "base/arena.h"
#include "base/bytes.h"

typedef enum {
    VALUE_NIL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TABLE
} value_kind_t;
typedef struct value value_t;
typedef struct value_pair {
    span_t key;
    const value_t *value; /* points behind */
} value_pair_t;
struct value {
    value_kind_t kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        span_t string;
        struct {
            value_t *items;
            size_t count;
        } list;
        struct {
            value_pair_t *pairs;
            size_t count;
        } table; /* sorted by key */
    };
};

typedef struct value_limits {
    int depth;
    size_t nodes;
    size_t bytes;
} value_limits_t;
/* Packs the value at index with raw access only (no metamethod runs), into the arena. Refuses functions, userdata,
   cycles and depth, keys that are neither strings nor 1..n, NaN and infinities: ERR_BAD_RESULT with a sentence that
   names the place in why. A table with only 1..n is a list; an empty one is a list, unless json.object marks it. A
   decimal becomes its text, json.null VALUE_NIL. Numbers that are whole and within ±2^53 are VALUE_INT. */
int value_pack(lua_State *L, int index, arena_t *arena, const value_limits_t *limits, value_t *out,
    char *why, size_t size);
/* Pushes; raises when out of memory, so call it protected. */
void value_push(lua_State *L, const value_t *value);
const value_t *value_field(
    const value_t *table, const char *key); /* NULL when not a table or no such field */
/* JSON text to a value in the arena (yyjson): numbers with a fraction or beyond int64 become VALUE_STRING of their
   text when `exact`, else VALUE_NUMBER. */
int value_parse(span_t json, arena_t *arena, const value_limits_t *limits, bool exact, value_t *out,
    char *why, size_t size);
void value_json(buf_t *buf, const value_t *value);

#endif
