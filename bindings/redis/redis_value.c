/* redis_value.c: packs replies into a buffer, one mark and its payload each, and pushes them from there. */
#include "redis/redis_value.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/decimal.h"
#include "redis/verbs.h"

#define WHOLE_MOST 9007199254740992 /* 2^53 */

typedef enum { NIL, YES, NO, INTEGER, FLOAT, TEXT, BIG, LIST, MAP, FAULT } mark_t;

/* Packing */

static void put_mark(buf_t *out, mark_t mark) {
    buf_char(out, (char)mark);
}

static void put_size(buf_t *out, mark_t mark, size_t size) {
    put_mark(out, mark);
    buf_put(out, &size, sizeof size);
}

static void put_text(buf_t *out, mark_t mark, const char *text, size_t len) {
    put_size(out, mark, len);
    buf_put(out, text, len);
}

static void put_float(buf_t *out, double number) {
    put_mark(out, FLOAT);
    buf_put(out, &number, sizeof number);
}

static void put_integer(buf_t *out, long long integer) {
    int64_t value = integer;
    put_mark(out, INTEGER);
    buf_put(out, &value, sizeof value);
}

/* Scores come from the server as numbers, inf and -inf, which strtod reads. */
static void put_string(buf_t *out, const redisReply *reply, unsigned flags) {
    if (flags & VERB_SCORE)
        put_float(out, strtod(reply->str, NULL));
    else
        put_text(out, TEXT, reply->str, reply->len);
}

void redis_value_pack_error(buf_t *out, int err, const char *detail) {
    int32_t code = err;
    put_text(out, FAULT, detail, strlen(detail));
    buf_put(out, &code, sizeof code);
}

static void put_fault(buf_t *out, const redisReply *reply) {
    int32_t code = redis_reply_err(reply);
    put_text(out, FAULT, reply->str, reply->len);
    buf_put(out, &code, sizeof code);
}

static int pack(buf_t *out, const redisReply *reply, unsigned flags, int depth);

static int pack_items(buf_t *out, const redisReply *reply, unsigned flags, int depth) {
    bool map = reply->type == REDIS_REPLY_MAP;
    if (flags & VERB_MAP && depth == 1 && reply->elements % 2 == 0)
        map = map || (reply->elements && reply->element[0]->type == REDIS_REPLY_STRING);
    put_size(out, map ? MAP : LIST, map ? reply->elements / 2 : reply->elements);
    int err = depth > REDIS_VALUE_DEPTH ? ERR_TOO_LARGE : 0;
    for (size_t i = 0; i < reply->elements && !err; i++)
        err = pack(out, reply->element[i], flags, depth + 1);
    return err;
}

/* XREAD in RESP2: a list of names and entries, each a pair. */
static bool is_pairs(const redisReply *reply) {
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *pair = reply->element[i];
        if (pair->type != REDIS_REPLY_ARRAY || pair->elements != 2) return false;
        if (pair->element[0]->type != REDIS_REPLY_STRING) return false;
    }
    return reply->elements > 0;
}

static int pack_pairs(buf_t *out, const redisReply *reply) {
    int err = 0;
    put_size(out, MAP, reply->elements);
    for (size_t i = 0; i < reply->elements && !err; i++) {
        const redisReply *pair = reply->element[i];
        err = pack(out, pair->element[0], 0, 2);
        if (!err) err = pack(out, pair->element[1], 0, 2);
    }
    return err;
}

/* ZRANGE … WITHSCORES in RESP2. */
static bool is_scored(const redisReply *reply) {
    return reply->elements % 2 == 0 && reply->elements > 0 &&
           reply->element[0]->type == REDIS_REPLY_STRING;
}

static int pack_scored(buf_t *out, const redisReply *reply) {
    int err = 0;
    put_size(out, LIST, reply->elements / 2);
    for (size_t i = 0; i < reply->elements && !err; i += 2) {
        put_size(out, LIST, 2);
        err = pack(out, reply->element[i], 0, 3);
        if (!err) err = pack(out, reply->element[i + 1], VERB_SCORE, 3);
    }
    return err;
}

static int pack_list(buf_t *out, const redisReply *reply, unsigned flags, int depth) {
    if (depth == 1 && flags & VERB_MAP && is_pairs(reply)) return pack_pairs(out, reply);
    if (depth == 1 && flags & VERB_SCORED && is_scored(reply)) return pack_scored(out, reply);
    return pack_items(out, reply, flags, depth);
}

static int pack(buf_t *out, const redisReply *reply, unsigned flags, int depth) {
    switch (reply->type) {
    case REDIS_REPLY_STRING:
        put_string(out, reply, flags);
        return 0;
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_VERB:
        put_text(out, TEXT, reply->str, reply->len);
        return 0;
    case REDIS_REPLY_INTEGER:
        put_integer(out, reply->integer);
        return 0;
    case REDIS_REPLY_DOUBLE:
        put_float(out, reply->dval);
        return 0;
    case REDIS_REPLY_BOOL:
        put_mark(out, reply->integer ? YES : NO);
        return 0;
    case REDIS_REPLY_BIGNUM:
        put_text(out, BIG, reply->str, reply->len);
        return 0;
    case REDIS_REPLY_ERROR:
        put_fault(out, reply);
        return 0;
    case REDIS_REPLY_NIL:
        put_mark(out, NIL);
        return 0;
    default:
        return pack_list(out, reply, flags, depth);
    }
}

int redis_value_pack(buf_t *out, const redisReply *reply, unsigned flags) {
    int err = 0;
    size_t before = out->len;
    if (reply)
        err = pack(out, reply, flags, 1);
    else
        put_mark(out, NIL);
    if (out->failed) return ERR_NO_MEMORY;
    if (err) out->len = before;
    return err;
}

/* Pushing */

static void take(const buf_t *values, size_t *at, void *into, size_t size) {
    memcpy(into, values->ptr + *at, size);
    *at += size;
}

static span_t take_text(const buf_t *values, size_t *at) {
    size_t len;
    take(values, at, &len, sizeof len);
    span_t text = {values->ptr + *at, len};
    *at += len;
    return text;
}

static void push_integer(lua_State *L, int64_t value) {
    char text[24];
    if (value >= -WHOLE_MOST && value <= WHOLE_MOST) {
        lua_pushnumber(L, (lua_Number)value);
        return;
    }
    int len = snprintf(text, sizeof text, "%lld", (long long)value);
    decimal_push(L, (span_t){text, (size_t)len});
}

/* A decimal has at most 1000 digits; beyond that the text itself. */
static void push_big(lua_State *L, span_t text) {
    if (decimal_valid(text))
        decimal_push(L, text);
    else
        lua_pushlstring(L, text.ptr, text.len);
}

static int32_t take_fault(const buf_t *values, size_t *at, span_t *detail) {
    int32_t code;
    *detail = take_text(values, at);
    take(values, at, &code, sizeof code);
    return code;
}

static void push_fault(lua_State *L, const buf_t *values, size_t *at) {
    span_t detail;
    int32_t code = take_fault(values, at, &detail);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, err_name(code));
    lua_setfield(L, -2, "error");
    lua_pushlstring(L, detail.ptr, detail.len);
    lua_setfield(L, -2, "detail");
}

static void push_list(lua_State *L, const buf_t *values, size_t *at) {
    size_t count;
    take(values, at, &count, sizeof count);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 1; i <= count; i++) {
        redis_value_push(L, values, at);
        lua_rawseti(L, -2, (int)i);
    }
}

static void push_map(lua_State *L, const buf_t *values, size_t *at) {
    size_t count;
    take(values, at, &count, sizeof count);
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        redis_value_push(L, values, at);
        redis_value_push(L, values, at);
        lua_rawset(L, -3);
    }
}

void redis_value_push(lua_State *L, const buf_t *values, size_t *at) {
    int64_t integer;
    double number;
    span_t text;
    luaL_checkstack(L, 6, "the answer nests too deep");
    mark_t mark = (mark_t)values->ptr[(*at)++];
    switch (mark) {
    case NIL:
        lua_pushlightuserdata(L, NULL);
        return;
    case YES:
    case NO:
        lua_pushboolean(L, mark == YES);
        return;
    case INTEGER:
        take(values, at, &integer, sizeof integer);
        push_integer(L, integer);
        return;
    case FLOAT:
        take(values, at, &number, sizeof number);
        lua_pushnumber(L, number);
        return;
    case TEXT:
        text = take_text(values, at);
        lua_pushlstring(L, text.ptr, text.len);
        return;
    case BIG:
        push_big(L, take_text(values, at));
        return;
    case LIST:
        push_list(L, values, at);
        return;
    case MAP:
        push_map(L, values, at);
        return;
    case FAULT:
        push_fault(L, values, at);
        return;
    }
}

int redis_value_results(lua_State *L, const buf_t *values, size_t *at) {
    span_t detail;
    mark_t mark = (mark_t)values->ptr[*at];
    if (mark == FAULT) {
        ++*at;
        int32_t code = take_fault(values, at, &detail);
        lua_pushnil(L);
        lua_pushlstring(L, detail.ptr, detail.len);
        lua_pushstring(L, err_name(code));
        return 3;
    }
    if (mark == NIL) {
        ++*at;
        lua_pushnil(L);
        return 1;
    }
    redis_value_push(L, values, at);
    return 1;
}
