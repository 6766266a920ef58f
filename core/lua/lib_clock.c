/* lib_clock.c: the module clock of trusted scripts: the wall time, and RFC 3339 text to and from milliseconds. */
#include "base/clock.h"

#include <math.h>
#include <lauxlib.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/trusted.h"

/* The years 0001 to 9999, which is what the text can show. */
static const lua_Number FIRST_MS = -62135596800000.0, LAST_MS = 253402300799999.0;

static int l_now_ms(lua_State *L) {
    lua_pushnumber(L, (lua_Number)clock_wall_ms());
    return 1;
}

/* clock.iso(ms) → "2024-11-21T10:00:00.000Z"; of now without an argument. */
static int l_iso(lua_State *L) {
    char text[25];
    lua_Number ms = luaL_optnumber(L, 1, (lua_Number)clock_wall_ms());
    luaL_argcheck(
        L, ms >= FIRST_MS && ms <= LAST_MS, 1, "milliseconds of the years 1 to 9999 expected");
    clock_iso((int64_t)floor(ms), text);
    lua_pushlstring(L, text, 24);
    return 1;
}

/* clock.parse(text) → ms | nil, text, "invalid" */
static int l_parse(lua_State *L) {
    span_t text;
    int64_t ms;
    text.ptr = luaL_checklstring(L, 1, &text.len);
    int err = clock_parse_iso(text, &ms);
    if (err != 0) return await_push_error(L, err, "the text is not a time of RFC 3339");
    lua_pushnumber(L, (lua_Number)ms);
    return 1;
}

int luaopen_clock(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"now_ms", l_now_ms}, {"iso", l_iso}, {"parse", l_parse}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
