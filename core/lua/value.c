/* value.c: packs plain data from a Lua stack into an arena, and pushes it on another stack. */
#include "lua/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <lauxlib.h>
#include "base/err.h"
#include "lua/decimal.h"
#include "lua/json_mark.h"
#include "lua/place.h"

enum { DEPTH_MOST = 128 };

typedef struct packer {
    lua_State *L;
    arena_t *arena;
    int depth, depth_most;
    size_t nodes, bytes; /* left */
    const void *path[DEPTH_MOST];
    place_t place;
    char what[80];
} packer_t;

static int pack(packer_t *packer, value_t *out);

static int refuse(packer_t *packer, const char *what) {
    snprintf(packer->what, sizeof packer->what, "%s", what);
    return ERR_BAD_RESULT;
}

static int copy_text(packer_t *packer, span_t text, span_t *out) {
    if (text.len > packer->bytes) return refuse(packer, "the texts are too long");
    packer->bytes -= text.len;
    char *copy = arena_dup(packer->arena, text.ptr, text.len);
    if (copy == NULL) return ERR_NO_MEMORY;
    *out = (span_t){copy, text.len};
    return 0;
}

static int pack_number(packer_t *packer, value_t *out) {
    double number = lua_tonumber(packer->L, -1);
    if (!isfinite(number)) return refuse(packer, "a number is not finite");
    if (number == floor(number) && fabs(number) <= 9007199254740992.0) {
        *out = (value_t){.kind = VALUE_INT, .integer = (int64_t)number};
    } else {
        *out = (value_t){.kind = VALUE_NUMBER, .number = number};
    }
    return 0;
}

static int pack_string(packer_t *packer, value_t *out) {
    span_t text;
    text.ptr = lua_tolstring(packer->L, -1, &text.len);
    out->kind = VALUE_STRING;
    return copy_text(packer, text, &out->string);
}

static size_t count_pairs(lua_State *L) {
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, -2) != 0; n++)
        lua_pop(L, 1);
    return n;
}

static int pack_list(packer_t *packer, size_t count, value_t *out) {
    out->kind = VALUE_LIST;
    out->list.count = count;
    out->list.items = arena_alloc(packer->arena, (count + 1) * sizeof *out->list.items);
    if (out->list.items == NULL) return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(packer->L, -1, (int)i + 1);
        int err = lua_isnil(packer->L, -1) ? refuse(packer, "a list has a hole")
                                           : pack(packer, &out->list.items[i]);
        lua_pop(packer->L, 1);
        if (err != 0) {
            place_in_index(&packer->place, i + 1);
            return err;
        }
    }
    return 0;
}

static int compare(const void *a, const void *b) {
    const span_t x = ((const value_pair_t *)a)->key, y = ((const value_pair_t *)b)->key;
    size_t len = x.len < y.len ? x.len : y.len;
    int order = len != 0 ? memcmp(x.ptr, y.ptr, len) : 0;
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static int pack_pair(packer_t *packer, value_pair_t *pair, value_t *value) {
    lua_State *L = packer->L;
    if (lua_type(L, -2) != LUA_TSTRING)
        return refuse(packer, "a key is neither a name nor one of 1 to n");
    span_t name;
    name.ptr = lua_tolstring(L, -2, &name.len);
    pair->value = value;
    int err = copy_text(packer, name, &pair->key);
    if (err == 0) err = pack(packer, value);
    if (err != 0) place_in_name(&packer->place, name);
    return err;
}

static int pack_table(packer_t *packer, size_t count, value_t *out) {
    lua_State *L = packer->L;
    value_pair_t *pairs = arena_alloc(packer->arena, (count + 1) * sizeof *pairs);
    value_t *values = arena_alloc(packer->arena, (count + 1) * sizeof *values);
    if (pairs == NULL || values == NULL) return ERR_NO_MEMORY;
    size_t i = 0;
    for (lua_pushnil(L); lua_next(L, -2) != 0; i++) {
        int err = pack_pair(packer, &pairs[i], &values[i]);
        lua_pop(L, 1);
        if (err != 0) return err;
    }
    qsort(pairs, count, sizeof *pairs, compare);
    out->kind = VALUE_TABLE;
    out->table.pairs = pairs;
    out->table.count = count;
    return 0;
}

/* The nodes are counted before anything is allocated for them: the count is the script's choice. */
static int pack_content(packer_t *packer, value_t *out) {
    size_t count = count_pairs(packer->L);
    if (count > packer->nodes) return refuse(packer, "the value has too many parts");
    bool list = lua_objlen(packer->L, -1) == count;
    if (count == 0) list = json_marked(packer->L, -1) != 'o';
    return list ? pack_list(packer, count, out) : pack_table(packer, count, out);
}

static int pack_nested(packer_t *packer, value_t *out) {
    const void *table = lua_topointer(packer->L, -1);
    for (int i = 0; i < packer->depth; i++) {
        if (packer->path[i] == table) return refuse(packer, "a table contains itself");
    }
    if (packer->depth == packer->depth_most) return refuse(packer, "tables nest too deep");
    if (!lua_checkstack(packer->L, 6)) return ERR_NO_MEMORY;
    int top = lua_gettop(packer->L);
    packer->path[packer->depth++] = table;
    int err = pack_content(packer, out);
    packer->depth--;
    lua_settop(packer->L, top);
    return err;
}

static int pack_other(packer_t *packer, value_t *out) {
    lua_State *L = packer->L;
    span_t text;
    if (lua_type(L, -1) == LUA_TLIGHTUSERDATA && lua_touserdata(L, -1) == NULL) {
        out->kind = VALUE_NIL;
        return 0;
    }
    if (decimal_at(L, -1, &text)) {
        out->kind = VALUE_STRING;
        return copy_text(packer, text, &out->string);
    }
    char what[64];
    snprintf(what, sizeof what, "a %s is not plain data", lua_typename(L, lua_type(L, -1)));
    return refuse(packer, what);
}

/* The value on top of the stack, which stays there. */
static int pack(packer_t *packer, value_t *out) {
    if (packer->nodes == 0) return refuse(packer, "the value has too many parts");
    packer->nodes--;
    switch (lua_type(packer->L, -1)) {
    case LUA_TNIL:
        out->kind = VALUE_NIL;
        return 0;
    case LUA_TBOOLEAN:
        *out = (value_t){.kind = VALUE_BOOL, .boolean = lua_toboolean(packer->L, -1)};
        return 0;
    case LUA_TNUMBER:
        return pack_number(packer, out);
    case LUA_TSTRING:
        return pack_string(packer, out);
    case LUA_TTABLE:
        return pack_nested(packer, out);
    default:
        return pack_other(packer, out);
    }
}

int value_pack(lua_State *L, int index, arena_t *arena, const value_limits_t *limits, value_t *out,
    char *why, size_t size) {
    packer_t packer = {.L = L, .arena = arena, .nodes = limits->nodes, .bytes = limits->bytes};
    packer.depth_most = limits->depth < DEPTH_MOST ? limits->depth : DEPTH_MOST;
    if (!lua_checkstack(L, 6)) return ERR_NO_MEMORY;
    lua_pushvalue(L, index);
    int err = pack(&packer, out);
    lua_pop(L, 1);
    if (err == 0 || size == 0) return err;
    const char *what = err == ERR_NO_MEMORY ? err_text(err) : packer.what;
    place_tell(&packer.place, what, why, size);
    return err;
}

static void push_list(lua_State *L, const value_t *value) {
    lua_createtable(L, (int)value->list.count, 0);
    json_mark(L, true);
    for (size_t i = 0; i < value->list.count; i++) {
        value_push(L, &value->list.items[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static void push_table(lua_State *L, const value_t *value) {
    lua_createtable(L, 0, (int)value->table.count);
    json_mark(L, false);
    for (size_t i = 0; i < value->table.count; i++) {
        const value_pair_t *pair = &value->table.pairs[i];
        lua_pushlstring(L, pair->key.ptr, pair->key.len);
        value_push(L, pair->value);
        lua_rawset(L, -3);
    }
}

void value_push(lua_State *L, const value_t *value) {
    luaL_checkstack(L, 6, "a nested value");
    switch (value->kind) {
    case VALUE_NIL:
        lua_pushnil(L);
        return;
    case VALUE_BOOL:
        lua_pushboolean(L, value->boolean);
        return;
    case VALUE_INT:
        lua_pushnumber(L, (lua_Number)value->integer);
        return;
    case VALUE_NUMBER:
        lua_pushnumber(L, value->number);
        return;
    case VALUE_STRING:
        lua_pushlstring(L, value->string.ptr, value->string.len);
        return;
    case VALUE_LIST:
        push_list(L, value);
        return;
    case VALUE_TABLE:
        push_table(L, value);
    }
}

/* The pairs are sorted by key, so half of them is left out at each step. */
const value_t *value_field(const value_t *table, const char *key) {
    if (table == NULL || table->kind != VALUE_TABLE) return NULL;
    value_pair_t wanted = {span_of(key), NULL};
    size_t low = 0, high = table->table.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&wanted, &table->table.pairs[middle]);
        if (order == 0) return table->table.pairs[middle].value;
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
