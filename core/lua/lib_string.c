/* lib_string.c: the string functions of a tenant's VM that neither match nor format; their work is charged,
   their results are bounded. */
#include "lua/sandbox_own.h"

/* Positions count from 1, from the end when negative; the range is cut to the text. */
static void range(int64_t *from, int64_t *to, size_t len) {
    int64_t n = (int64_t)len;
    if (*from < 0) *from = *from + n + 1;
    if (*to < 0) *to = *to + n + 1;
    if (*from < 1) *from = 1;
    if (*to > n) *to = n;
}

static int l_byte(lua_State *L) {
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    int64_t from = lib_opt_int(L, 2, 1), to = lib_opt_int(L, 3, from);
    range(&from, &to, len);
    if (from > to) return 0;
    if (to - from >= SANDBOX_UNPACK_MAX) return luaL_error(L, "string slice too long");
    luaL_checkstack(L, (int)(to - from + 1), "string slice too long");
    for (int64_t i = from; i <= to; i++)
        lua_pushinteger(L, (unsigned char)text[i - 1]);
    return (int)(to - from + 1);
}

static int l_char(lua_State *L) {
    int n = lua_gettop(L);
    text_t text;
    text_open(&text, L);
    for (int i = 1; i <= n; i++) {
        int64_t code = lib_int(L, i);
        luaL_argcheck(L, code >= 0 && code <= 255, i, "value out of range");
        char c = (char)code;
        text_put(&text, &c, 1);
    }
    text_push(&text);
    return 1;
}

static int l_len(lua_State *L) {
    size_t len;
    luaL_checklstring(L, 1, &len);
    lua_pushinteger(L, (lua_Integer)len);
    return 1;
}

/* ASCII only, as the engine's own: a locale would change results between two machines. */
static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static char upper(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static int map(lua_State *L, char (*change)(char)) {
    size_t len;
    const char *from = luaL_checklstring(L, 1, &len);
    text_t text;
    text_open(&text, L);
    char *to = text_reserve(&text, len);
    for (size_t i = 0; i < len; i++)
        to[i] = change(from[i]);
    text.len = len;
    budget_work(L, len >> 2);
    text_push(&text);
    return 1;
}

static int l_lower(lua_State *L) {
    return map(L, lower);
}
static int l_upper(lua_State *L) {
    return map(L, upper);
}

static int l_reverse(lua_State *L) {
    size_t len;
    const char *from = luaL_checklstring(L, 1, &len);
    text_t text;
    text_open(&text, L);
    char *to = text_reserve(&text, len);
    for (size_t i = 0; i < len; i++)
        to[i] = from[len - 1 - i];
    text.len = len;
    budget_work(L, len >> 2);
    text_push(&text);
    return 1;
}

static void fill(text_t *text, char c, size_t n) {
    if (n == 0) return;
    memset(text_reserve(text, n), c, n);
    text->len += n;
}

static void repeat(text_t *text, span_t piece, span_t separator, int64_t n) {
    budget_work(text->L, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        text_put(text, piece.ptr, piece.len);
        if (i + 1 < n) text_put(text, separator.ptr, separator.len);
    }
}

static int l_rep(lua_State *L) {
    size_t len, between;
    const char *piece = luaL_checklstring(L, 1, &len);
    int64_t n = lib_int(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &between);
    if (n < 0) n = 0;
    /* n is below 2^32 and the lengths below 2^19: no overflow. */
    if ((uint64_t)n * (len + between) > SANDBOX_STRING_MAX + between)
        return sandbox_raise(L, ERR_BUDGET_MEMORY, "a text is longer than 256 KB");
    if (len + between == 0) n = 0;
    text_t text;
    text_open(&text, L);
    if (len == 1 && between == 0)
        fill(&text, *piece, (size_t)n);
    else
        repeat(&text, (span_t){piece, len}, (span_t){separator, between}, n);
    text_push(&text);
    return 1;
}

static int l_sub(lua_State *L) {
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    int64_t from = lib_int(L, 2), to = lib_opt_int(L, 3, -1);
    range(&from, &to, len);
    if (from > to) return lua_pushliteral(L, ""), 1;
    budget_work(L, (size_t)(to - from) >> 4);
    lua_pushlstring(L, text + from - 1, (size_t)(to - from + 1));
    return 1;
}

static const luaL_Reg functions[] = {
    {"byte", l_byte},
    {"char", l_char},
    {"len", l_len},
    {"lower", l_lower},
    {"upper", l_upper},
    {"reverse", l_reverse},
    {"rep", l_rep},
    {"sub", l_sub},
    {NULL, NULL},
};

void lib_string_open(lua_State *L) {
    lib_set(L, functions);
    lib_match_open(L);
    lib_format_open(L);
}
