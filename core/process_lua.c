/* process_lua.c: answers process.config and process.forget_tenants. */
#include "process_lua.h"
#include "app.h"
#include "resolve.h"

static services_t *services_of(lua_State *L) {
    return app_of(L)->services;
}

static int l_config(lua_State *L) {
    span_t key;
    key.ptr = luaL_checklstring(L, 1, &key.len);
    buf_t value;
    buf_create(&value);
    bool found = config_print(&services_of(L)->config, key, &value) && !value.failed;
    char copy[600];
    snprintf(copy, sizeof copy, "%.*s", (int)value.len, value.ptr ? value.ptr : "");
    buf_destroy(&value);
    if (!found) return 0;
    lua_pushstring(L, copy);
    return 1;
}

static int l_forget_tenants(lua_State *L) {
    services_t *services = services_of(L);
    if (services->resolve) resolve_forget(services->resolve);
    return 0;
}

int luaopen_process(lua_State *L) {
    static const luaL_Reg FUNCTIONS[] = {
        {"config", l_config}, {"forget_tenants", l_forget_tenants}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, FUNCTIONS);
    return 1;
}
