/* lib_money.c: exact money for both kinds of VM: percentages and texts for tenants; parsing and decimals for
   trusted scripts. */
#include "lua/lib_money.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/money.h"
#include "lua/await.h"
#include "lua/decimal.h"
#include "lua/sandbox_own.h"

static int64_t check_minor(lua_State *L, int arg) {
    lua_Number number = luaL_checknumber(L, arg);
    bool whole = number >= -(double)MONEY_MAX && number <= (double)MONEY_MAX;
    luaL_argcheck(
        L, whole && number == floor(number), arg, "a whole amount of minor units expected");
    return (int64_t)number;
}

static int check_digits(lua_State *L, int arg) {
    lua_Number digits = luaL_checknumber(L, arg);
    luaL_argcheck(L, digits >= 0 && digits <= MONEY_DIGITS_MAX && digits == floor(digits), arg,
        "0 to 4 digits expected");
    return (int)digits;
}

/* The shortest text that reads back as the same number: 29.99 is "29.99", as its author wrote it. */
static span_t shortest(double number, char out[40]) {
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(out, 40, "%.*g", precision, number);
        if (strtod(out, NULL) == number) break;
    }
    return span_of(out);
}

/* From the last digit to the first; the point stands before the last `digits` of them. */
static const char *print(int64_t minor, int digits, char out[40]) {
    char *at = out + 39;
    int64_t rest = minor < 0 ? -minor : minor;
    *at = 0;
    for (int i = 0; rest > 0 || i <= digits; i++, rest /= 10) {
        if (i == digits && digits > 0) *--at = '.';
        *--at = (char)('0' + rest % 10);
    }
    if (minor < 0) *--at = '-';
    return at;
}

static int l_percent(lua_State *L) {
    int64_t amount = check_minor(L, 1), out;
    rate_t rate;
    int err;
    if (lua_type(L, 2) == LUA_TNUMBER) {
        err = rate_of_double(lua_tonumber(L, 2), &rate);
    } else {
        size_t len;
        const char *text = luaL_checklstring(L, 2, &len);
        err = rate_parse((span_t){text, len}, &rate);
    }
    if (!err) err = rate_apply(amount, rate, 100, MONEY_HALF_UP, &out);
    if (err) return luaL_argerror(L, 2, "a percentage like \"8.25\" expected");
    lua_pushnumber(L, (lua_Number)out);
    return 1;
}

/* The second argument is ctx.currency ({code, digits}), or digits alone. */
static int l_tenant_format(lua_State *L) {
    char out[40];
    int64_t minor = check_minor(L, 1);
    if (!lua_istable(L, 2)) {
        lua_pushstring(L, print(minor, check_digits(L, 2), out));
        return 1;
    }
    lua_settop(L, 2);
    lua_pushliteral(L, "digits");
    lua_rawget(L, 2);
    const char *text = print(minor, check_digits(L, 3), out);
    lua_pushliteral(L, "code");
    lua_rawget(L, 2);
    luaL_argcheck(L, lua_type(L, 4) == LUA_TSTRING, 2, "a currency with code and digits expected");
    lua_pushliteral(L, " ");
    lua_pushstring(L, text);
    lua_concat(L, 3);
    return 1;
}

void lib_money_open(lua_State *L) {
    lua_pushcfunction(L, l_percent);
    lua_setfield(L, -2, "percent");
    lua_pushcfunction(L, l_tenant_format);
    lua_setfield(L, -2, "format");
}

static int l_digits(lua_State *L) {
    size_t len;
    const char *code = luaL_checklstring(L, 1, &len);
    int digits = currency_digits((span_t){code, len});
    if (digits < 0) return lua_pushnil(L), 1;
    lua_pushinteger(L, digits);
    return 1;
}

static int l_parse(lua_State *L) {
    int digits = check_digits(L, 2);
    char number[40];
    span_t text;
    int64_t minor;
    if (lua_type(L, 1) == LUA_TNUMBER)
        text = shortest(lua_tonumber(L, 1), number);
    else if (lua_type(L, 1) == LUA_TSTRING)
        text.ptr = lua_tolstring(L, 1, &text.len);
    else if (!decimal_at(L, 1, &text))
        return await_push_error(L, ERR_INVALID, "a number, a decimal or a text expected");
    int err = money_parse(text, digits, &minor);
    if (err) return await_push_error(L, err, NULL);
    lua_pushnumber(L, (lua_Number)minor);
    return 1;
}

static int l_decimal(lua_State *L) {
    char out[40];
    decimal_push(L, span_of(print(check_minor(L, 1), check_digits(L, 2), out)));
    return 1;
}

static int l_format(lua_State *L) {
    char out[40];
    lua_pushstring(L, print(check_minor(L, 1), check_digits(L, 2), out));
    return 1;
}

int luaopen_money(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"digits", l_digits},
        {"parse", l_parse},
        {"decimal", l_decimal},
        {"format", l_format},
        {NULL, NULL},
    };
    lua_newtable(L);
    lib_set(L, functions);
    return 1;
}
