/* lib_ident.c: the module ident of trusted scripts: UUIDs, random tokens and SHA-256 digests. */
#include "base/ident.h"

#include <lauxlib.h>
#include "lua/trusted.h"

enum { TOKEN_MOST = 256 };

static int l_uuid(lua_State *L) {
    char text[37];
    ident_uuid(text);
    lua_pushlstring(L, text, 36);
    return 1;
}

static int l_is_uuid(lua_State *L) {
    span_t text = {NULL, 0};
    if (lua_type(L, 1) == LUA_TSTRING) text.ptr = lua_tolstring(L, 1, &text.len);
    lua_pushboolean(L, text.ptr != NULL && ident_is_uuid(text));
    return 1;
}

/* ident.token(n): n random bytes, 16 when not given, as URL-safe base64. */
static int l_token(lua_State *L) {
    char text[(TOKEN_MOST * 4 + 2) / 3 + 1];
    int n = luaL_optint(L, 1, 16);
    luaL_argcheck(L, n >= 1 && n <= TOKEN_MOST, 1, "1 to 256 bytes");
    ident_token(text, (size_t)n);
    lua_pushstring(L, text);
    return 1;
}

static int l_sha256(lua_State *L) {
    char digest[65];
    span_t text;
    text.ptr = luaL_checklstring(L, 1, &text.len);
    ident_sha256(text, digest);
    lua_pushlstring(L, digest, 64);
    return 1;
}

int luaopen_ident(lua_State *L) {
    static const luaL_Reg functions[] = {{"uuid", l_uuid}, {"is_uuid", l_is_uuid},
        {"token", l_token}, {"sha256", l_sha256}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
