/* json.c: reads JSON straight onto a Lua stack, and is the module json of trusted scripts. */
#include "lua/json.h"

#include <stdio.h>
#include <lauxlib.h>
#include <yyjson.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/decimal.h"
#include "lua/json_encode.h"
#include "lua/json_mark.h"
#include "lua/task.h"

enum { BUFFER_KEPT = 1 << 20 };

/* Decoding */

typedef struct decoder {
    yyjson_val *root;
    const char *what; /* why not, when it is not an allocation that failed */
} decoder_t;

static bool push_value(decoder_t *dec, lua_State *L, yyjson_val *value, int depth);

/* Fifteen digits always fit; sixteen are compared with 2^53. */
static bool push_whole(lua_State *L, span_t text) {
    bool negative = text.ptr[0] == '-';
    if (negative) text = (span_t){text.ptr + 1, text.len - 1};
    if (text.len > 16) return false;
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    if (value > INT64_C(9007199254740992)) return false;
    lua_pushnumber(L, (lua_Number)(negative ? -value : value));
    return true;
}

static bool push_number(decoder_t *dec, lua_State *L, span_t text) {
    if (push_whole(L, text)) return true;
    if (!decimal_valid(text)) {
        dec->what = "a number is too long or its exponent too large";
        return false;
    }
    decimal_push(L, text);
    return true;
}

static bool push_list(decoder_t *dec, lua_State *L, yyjson_val *list, int depth) {
    size_t n = yyjson_arr_size(list);
    lua_createtable(L, (int)n, 0);
    json_mark(L, true);
    yyjson_val *item = yyjson_arr_get_first(list);
    for (size_t i = 1; i <= n; i++, item = unsafe_yyjson_get_next(item)) {
        if (!push_value(dec, L, item, depth)) return false;
        lua_rawseti(L, -2, (int)i);
    }
    return true;
}

static bool push_object(decoder_t *dec, lua_State *L, yyjson_val *object, int depth) {
    lua_createtable(L, 0, (int)yyjson_obj_size(object));
    json_mark(L, false);
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    for (yyjson_val *name; (name = yyjson_obj_iter_next(&iter)) != NULL;) {
        lua_pushlstring(L, unsafe_yyjson_get_str(name), unsafe_yyjson_get_len(name));
        if (!push_value(dec, L, yyjson_obj_iter_get_val(name), depth)) return false;
        lua_rawset(L, -3);
    }
    return true;
}

static bool push_container(decoder_t *dec, lua_State *L, yyjson_val *value, int depth) {
    if (depth == JSON_DEPTH) {
        dec->what = "more than 128 levels";
        return false;
    }
    luaL_checkstack(L, 6, "JSON");
    if (yyjson_is_arr(value)) return push_list(dec, L, value, depth + 1);
    return push_object(dec, L, value, depth + 1);
}

static bool push_value(decoder_t *dec, lua_State *L, yyjson_val *value, int depth) {
    span_t text = {unsafe_yyjson_get_raw(value), unsafe_yyjson_get_len(value)};
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_STR:
        lua_pushlstring(L, text.ptr, text.len);
        return true;
    case YYJSON_TYPE_RAW:
        return push_number(dec, L, text);
    case YYJSON_TYPE_BOOL:
        lua_pushboolean(L, yyjson_get_bool(value));
        return true;
    case YYJSON_TYPE_NULL:
        lua_pushlightuserdata(L, NULL);
        return true;
    default:
        return push_container(dec, L, value, depth);
    }
}

static int push_root(lua_State *L, void *data) {
    decoder_t *dec = data;
    return push_value(dec, L, dec->root, 0) ? 1 : 0;
}

static int fault(int err, const char *what, char *why, size_t size) {
    snprintf(why, size, "%s", what);
    return err;
}

static int push_document(lua_State *L, yyjson_doc *doc, char *why, size_t size) {
    decoder_t dec = {yyjson_doc_get_root(doc), NULL};
    int top = lua_gettop(L);
    int status = vm_call(L, push_root, &dec);
    if (status == 0 && dec.what == NULL) return 0;
    lua_settop(L, top);
    if (status != 0) return fault(ERR_NO_MEMORY, err_text(ERR_NO_MEMORY), why, size);
    return fault(ERR_BAD_JSON, dec.what, why, size);
}

int json_decode(lua_State *L, span_t text, char *why, size_t size) {
    if (text.len == 0) return fault(ERR_BAD_JSON, "the text is empty", why, size);
    if (text.len > JSON_SIZE) return fault(ERR_TOO_LARGE, "more than 16 MB of JSON", why, size);
    yyjson_read_err failure;
    yyjson_doc *doc =
        yyjson_read_opts((char *)text.ptr, text.len, YYJSON_READ_NUMBER_AS_RAW, NULL, &failure);
    if (doc == NULL && failure.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return fault(ERR_NO_MEMORY, err_text(ERR_NO_MEMORY), why, size);
    }
    if (doc == NULL) {
        snprintf(why, size, "%s at byte %zu", failure.msg, failure.pos + 1);
        return ERR_BAD_JSON;
    }
    int err = push_document(L, doc, why, size);
    yyjson_doc_free(doc);
    return err;
}

/* The module */

static int l_decode(lua_State *L) {
    span_t text;
    char why[160];
    text.ptr = luaL_checklstring(L, 1, &text.len);
    int err = json_decode(L, text, why, sizeof why);
    return err == 0 ? 1 : await_push_error(L, err, why);
}

/* The buffer is the module's, so that an error below leaks nothing; a huge one is not kept. */
static int l_encode(lua_State *L) {
    buf_t *buf = lua_touserdata(L, lua_upvalueindex(1));
    char why[240];
    luaL_checkany(L, 1);
    if (buf->failed || buf->cap > BUFFER_KEPT) buf_destroy(buf);
    buf_reset(buf);
    if (json_encode(L, 1, buf, why, sizeof why) != 0) return luaL_error(L, "json.encode: %s", why);
    lua_pushlstring(L, buf->ptr, buf->len);
    return 1;
}

static int l_free_buffer(lua_State *L) {
    buf_destroy(lua_touserdata(L, 1));
    return 0;
}

/* The table given, or a new one. */
static void take_table(lua_State *L) {
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
}

static int l_array(lua_State *L) {
    take_table(L);
    json_mark(L, true);
    return 1;
}

static int l_object(lua_State *L) {
    take_table(L);
    json_mark(L, false);
    return 1;
}

/* json.is_array(value): whether it would be written as a list. */
static int l_is_array(lua_State *L) {
    luaL_checkany(L, 1);
    bool list = false;
    if (lua_istable(L, 1)) {
        char mark = json_marked(L, 1);
        lua_settop(L, 1);
        lua_pushnil(L);
        bool empty = lua_next(L, 1) == 0;
        list = mark == 'l' || (mark == 0 && (empty || lua_type(L, 2) == LUA_TNUMBER));
    }
    lua_pushboolean(L, list);
    return 1;
}

static void push_encoder(lua_State *L) {
    buf_create(lua_newuserdata(L, sizeof(buf_t)));
    lua_newtable(L);
    lua_pushcfunction(L, l_free_buffer);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pushcclosure(L, l_encode, 1);
}

int luaopen_json(lua_State *L) {
    static const luaL_Reg functions[] = {{"decode", l_decode}, {"array", l_array},
        {"object", l_object}, {"is_array", l_is_array}, {NULL, NULL}};
    json_mark_open(L);
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    push_encoder(L);
    lua_setfield(L, -2, "encode");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
