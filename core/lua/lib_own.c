/* lib_own.c: what the tenants' libraries share: named errors, calls back, arguments, and text that grows on the
   Lua heap. */
#include "lua/sandbox_own.h"
#include <stdio.h>
#include <stdlib.h>

int sandbox_raise(lua_State *L, int err, const char *format, ...) {
    sandbox_t *sandbox = sandbox_of(L);
    char sentence[160];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    luaL_where(L, 1);
    lua_pushstring(L, sentence);
    lua_concat(L, 2);
    sandbox->named = err;
    snprintf(sandbox->named_text, sizeof sandbox->named_text, "%s", lua_tostring(L, -1));
    return lua_error(L);
}

/* An error jumps past the matching leave: l_pcall and budget_enter put the depth right. */
static void go_deeper(lua_State *L) {
    sandbox_t *sandbox = sandbox_of(L);
    if (sandbox->depth >= SANDBOX_DEPTH_MAX) budget_expire(L, ERR_BUDGET_DEPTH);
    sandbox->depth++;
}

void sandbox_callback(lua_State *L, int nargs, int nresults) {
    go_deeper(L);
    lua_call(L, nargs, nresults);
    sandbox_of(L)->depth--;
}

void sandbox_gettable(lua_State *L, int index) {
    go_deeper(L);
    lua_gettable(L, index);
    sandbox_of(L)->depth--;
}

bool sandbox_lessthan(lua_State *L, int a, int b) {
    go_deeper(L);
    bool less = lua_lessthan(L, a, b);
    sandbox_of(L)->depth--;
    return less;
}

/* A script can name a function __fill too, but only one it has already: nothing is gained. */
void sandbox_fill(lua_State *L, int index) {
    if (!luaL_getmetafield(L, index, "__fill")) return;
    if (!lua_iscfunction(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_pushvalue(L, index);
    sandbox_callback(L, 1, 0);
}

static int64_t clamp(lua_Number number) {
    if (!(number > -2147483648.0)) return number == number ? -2147483648 : 0;
    if (number > 2147483648.0) return 2147483648;
    return (int64_t)number;
}

int64_t lib_int(lua_State *L, int arg) {
    return clamp(luaL_checknumber(L, arg));
}

int64_t lib_opt_int(lua_State *L, int arg, int64_t otherwise) {
    return lua_isnoneornil(L, arg) ? otherwise : lib_int(L, arg);
}

/* Runs __tostring when there is one: true, and its result is on the stack. */
static bool call_tostring(lua_State *L, int index) {
    if (!luaL_getmetafield(L, index, "__tostring")) return false;
    lua_pushvalue(L, index);
    sandbox_callback(L, 1, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
        sandbox_raise(L, ERR_RULE_ERROR, "'__tostring' must return a string");
    return true;
}

const char *lib_tostring(lua_State *L, int index, size_t *len) {
    if (index < 0) index = lua_gettop(L) + 1 + index;
    luaL_checkstack(L, 4, "too many values");
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
        lua_pushvalue(L, index);
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TNIL:
        lua_pushliteral(L, "nil");
        break;
    default:
        /* The type alone: an address would differ between two runs, and help an attacker. */
        if (!call_tostring(L, index)) lua_pushstring(L, luaL_typename(L, index));
    }
    return lua_tolstring(L, -1, len);
}

void text_open(text_t *text, lua_State *L) {
    luaL_checkstack(L, 4, "too many values");
    lua_pushnil(L);
    *text = (text_t){.L = L, .len = 0, .cap = sizeof text->small, .slot = lua_gettop(L)};
    text->ptr = text->small;
}

static void grow(text_t *text, size_t need) {
    if (need > SANDBOX_STRING_MAX)
        sandbox_raise(text->L, ERR_BUDGET_MEMORY, "a text is longer than 256 KB");
    size_t cap = text->cap * 2 > need ? text->cap * 2 : need;
    if (cap > SANDBOX_STRING_MAX) cap = SANDBOX_STRING_MAX;
    char *fresh = lua_newuserdata(text->L, cap);
    memcpy(fresh, text->ptr, text->len);
    lua_replace(text->L, text->slot);
    text->ptr = fresh;
    text->cap = cap;
    budget_work(text->L, cap >> 4);
}

char *text_reserve(text_t *text, size_t more) {
    if (more > text->cap - text->len) grow(text, text->len + more);
    return text->ptr + text->len;
}

void text_put(text_t *text, const char *bytes, size_t len) {
    if (len == 0) return;
    memcpy(text_reserve(text, len), bytes, len);
    text->len += len;
}

void text_push(text_t *text) {
    lua_pushlstring(text->L, text->ptr, text->len);
    lua_replace(text->L, text->slot);
    lua_settop(text->L, text->slot);
    budget_work(text->L, text->len >> 4);
}

void lib_set(lua_State *L, const luaL_Reg *functions) {
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

void sandbox_check_own(lua_State *L, int index) {
    sandbox_t *sandbox = sandbox_of(L);
    const void *table = lua_topointer(L, index);
    for (int i = 0; i < sandbox->nshared; i++)
        if (sandbox->shared[i] == table) sandbox_raise(L, ERR_FORBIDDEN, "libraries are read-only");
}
