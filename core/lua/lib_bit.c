/* lib_bit.c: bit operations on 32 bits, with the results of LuaJIT's bit library. */
#include "lua/sandbox_own.h"
#include <math.h>

/* Modulo 2^32, also for numbers beyond 64 bits, NaN and infinities, where a C conversion is undefined. */
static uint32_t bits(lua_State *L, int arg) {
    double x = luaL_checknumber(L, arg);
    if (!isfinite(x)) return 0;
    x = fmod(rint(x), 4294967296.0);
    return x < 0 ? (uint32_t)(x + 4294967296.0) : (uint32_t)x;
}

static int answer(lua_State *L, uint32_t x) {
    lua_pushinteger(L, (lua_Integer)(int32_t)x);
    return 1;
}

static int l_tobit(lua_State *L) {
    return answer(L, bits(L, 1));
}
static int l_bnot(lua_State *L) {
    return answer(L, ~bits(L, 1));
}
static int l_bswap(lua_State *L) {
    return answer(L, __builtin_bswap32(bits(L, 1)));
}

static int l_band(lua_State *L) {
    uint32_t x = bits(L, 1);
    for (int i = 2, n = lua_gettop(L); i <= n; i++)
        x &= bits(L, i);
    return answer(L, x);
}

static int l_bor(lua_State *L) {
    uint32_t x = bits(L, 1);
    for (int i = 2, n = lua_gettop(L); i <= n; i++)
        x |= bits(L, i);
    return answer(L, x);
}

static int l_bxor(lua_State *L) {
    uint32_t x = bits(L, 1);
    for (int i = 2, n = lua_gettop(L); i <= n; i++)
        x ^= bits(L, i);
    return answer(L, x);
}

static int l_lshift(lua_State *L) {
    return answer(L, bits(L, 1) << (bits(L, 2) & 31));
}
static int l_rshift(lua_State *L) {
    return answer(L, bits(L, 1) >> (bits(L, 2) & 31));
}

static int l_arshift(lua_State *L) {
    uint32_t x = bits(L, 1), by = bits(L, 2) & 31;
    uint32_t filled = x >> 31 && by ? ~(UINT32_MAX >> by) : 0;
    return answer(L, (x >> by) | filled);
}

static int l_rol(lua_State *L) {
    uint32_t x = bits(L, 1), by = bits(L, 2) & 31;
    return answer(L, by ? (x << by) | (x >> (32 - by)) : x);
}

static int l_ror(lua_State *L) {
    uint32_t x = bits(L, 1), by = bits(L, 2) & 31;
    return answer(L, by ? (x >> by) | (x << (32 - by)) : x);
}

static int l_tohex(lua_State *L) {
    uint32_t x = bits(L, 1);
    int64_t n = lib_opt_int(L, 2, 8);
    const char *digits = n < 0 ? "0123456789ABCDEF" : "0123456789abcdef";
    if (n < 0) n = -n;
    if (n > 8) n = 8;
    char out[8];
    for (int64_t i = n; i-- > 0; x >>= 4)
        out[i] = digits[x & 15];
    lua_pushlstring(L, out, (size_t)n);
    return 1;
}

static const luaL_Reg functions[] = {
    {"tobit", l_tobit},
    {"bnot", l_bnot},
    {"bswap", l_bswap},
    {"band", l_band},
    {"bor", l_bor},
    {"bxor", l_bxor},
    {"lshift", l_lshift},
    {"rshift", l_rshift},
    {"arshift", l_arshift},
    {"rol", l_rol},
    {"ror", l_ror},
    {"tohex", l_tohex},
    {NULL, NULL},
};

void lib_bit_open(lua_State *L) {
    lib_set(L, functions);
}
