/* lib_math.c: the math functions of a tenant's VM; random starts from the call's seed, so that the same input
   gives the same output. */
#include "lua/sandbox_own.h"
#include <math.h>

#define ONE(name)                                                                                  \
    static int l_##name(lua_State *L) {                                                            \
        lua_pushnumber(L, name(luaL_checknumber(L, 1)));                                           \
        return 1;                                                                                  \
    }
#define TWO(name)                                                                                  \
    static int l_##name(lua_State *L) {                                                            \
        lua_pushnumber(L, name(luaL_checknumber(L, 1), luaL_checknumber(L, 2)));                   \
        return 1;                                                                                  \
    }

ONE(acos)
ONE(asin)
ONE(atan)
ONE(ceil)
ONE(cos)
ONE(cosh)
ONE(exp)
ONE(floor)
ONE(log10)
ONE(sin)
ONE(sinh)
ONE(sqrt)
ONE(tan)
ONE(tanh)
TWO(atan2)
TWO(fmod)
TWO(pow)

static int l_abs(lua_State *L) {
    lua_pushnumber(L, fabs(luaL_checknumber(L, 1)));
    return 1;
}

static int l_deg(lua_State *L) {
    lua_pushnumber(L, luaL_checknumber(L, 1) * (180.0 / M_PI));
    return 1;
}

static int l_rad(lua_State *L) {
    lua_pushnumber(L, luaL_checknumber(L, 1) * (M_PI / 180.0));
    return 1;
}

static int l_log(lua_State *L) {
    lua_Number x = log(luaL_checknumber(L, 1));
    if (!lua_isnoneornil(L, 2)) x /= log(luaL_checknumber(L, 2));
    lua_pushnumber(L, x);
    return 1;
}

static int l_frexp(lua_State *L) {
    int exponent = 0;
    lua_pushnumber(L, frexp(luaL_checknumber(L, 1), &exponent));
    lua_pushinteger(L, exponent);
    return 2;
}

static int l_ldexp(lua_State *L) {
    lua_Number x = luaL_checknumber(L, 1);
    int64_t exponent = lib_int(L, 2);
    if (exponent > 5000) exponent = 5000;
    if (exponent < -5000) exponent = -5000;
    lua_pushnumber(L, ldexp(x, (int)exponent));
    return 1;
}

static int l_modf(lua_State *L) {
    double whole;
    double part = modf(luaL_checknumber(L, 1), &whole);
    lua_pushnumber(L, whole);
    lua_pushnumber(L, part);
    return 2;
}

static int l_max(lua_State *L) {
    lua_Number most = luaL_checknumber(L, 1);
    for (int i = 2, n = lua_gettop(L); i <= n; i++) {
        lua_Number x = luaL_checknumber(L, i);
        if (x > most) most = x;
    }
    lua_pushnumber(L, most);
    return 1;
}

static int l_min(lua_State *L) {
    lua_Number least = luaL_checknumber(L, 1);
    for (int i = 2, n = lua_gettop(L); i <= n; i++) {
        lua_Number x = luaL_checknumber(L, i);
        if (x < least) least = x;
    }
    lua_pushnumber(L, least);
    return 1;
}

/* splitmix64 spreads a seed of any quality over the state; never all zero. */
void lib_math_seed(sandbox_t *sandbox, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        sandbox->random[i] = z ^ (z >> 31);
    }
}

static uint64_t turn(uint64_t x, int by) {
    return (x << by) | (x >> (64 - by));
}

/* xoshiro256** by Blackman and Vigna. */
static uint64_t draw(uint64_t s[4]) {
    uint64_t out = turn(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = turn(s[3], 45);
    return out;
}

static int l_random(lua_State *L) {
    double unit = (double)(draw(sandbox_of(L)->random) >> 11) * 0x1p-53;
    int n = lua_gettop(L);
    if (n == 0) return lua_pushnumber(L, unit), 1;
    double low = n > 1 ? floor(luaL_checknumber(L, 1)) : 1;
    double high = floor(luaL_checknumber(L, n > 1 ? 2 : 1));
    luaL_argcheck(L, low <= high, n > 1 ? 2 : 1, "interval is empty");
    lua_pushnumber(L, low + floor(unit * (high - low + 1)));
    return 1;
}

#define FIELD(name)                                                                                \
    { #name, l_##name }
static const luaL_Reg functions[] = {
    FIELD(abs),
    FIELD(acos),
    FIELD(asin),
    FIELD(atan),
    FIELD(atan2),
    FIELD(ceil),
    FIELD(cos),
    FIELD(cosh),
    FIELD(deg),
    FIELD(exp),
    FIELD(floor),
    FIELD(fmod),
    FIELD(frexp),
    FIELD(ldexp),
    FIELD(log),
    FIELD(log10),
    FIELD(max),
    FIELD(min),
    FIELD(modf),
    FIELD(pow),
    FIELD(rad),
    FIELD(random),
    FIELD(sin),
    FIELD(sinh),
    FIELD(sqrt),
    FIELD(tan),
    FIELD(tanh),
    {NULL, NULL},
};

void lib_math_open(lua_State *L) {
    lib_set(L, functions);
    lua_pushnumber(L, M_PI);
    lua_setfield(L, -2, "pi");
    lua_pushnumber(L, HUGE_VAL);
    lua_setfield(L, -2, "huge");
}
