/* launch.c: opens an edition's VM with its modules, runs main.lua and keeps what it declares. */
#include "launch.h"
#include "base/err.h"
#include "modules.h"
#include <stdio.h>

#define BODY_MOST (1024.0 * 1024 * 1024)
#define EVERY_LEAST_MS 10 /* sooner would be all that the loop does */
#define EVERY_MOST_MS (24.0 * 3600 * 1000)

/* A role that is not understood must not leave the route open to everybody. */
static void read_role(lua_State *L, app_route_t *route) {
    lua_getfield(L, -1, "role");
    if (!lua_isnil(L, -1)) {
        bool text = lua_type(L, -1) == LUA_TSTRING && lua_objlen(L, -1) > 0;
        if (!text || lua_objlen(L, -1) >= sizeof route->role)
            luaL_error(L, "main.lua: the role of %s is not a short text", route->spec);
        snprintf(route->role, sizeof route->role, "%s", lua_tostring(L, -1));
    }
    lua_pop(L, 1);
}

static void read_body_max(lua_State *L, app_route_t *route) {
    lua_getfield(L, -1, "body_max");
    if (!lua_isnil(L, -1)) {
        double most = lua_tonumber(L, -1);
        if (!(most >= 1 && most <= BODY_MOST))
            luaL_error(L, "main.lua: body_max of %s is not a size in bytes", route->spec);
        route->body_max = (size_t)most;
    }
    lua_pop(L, 1);
}

static void read_rate(lua_State *L, app_route_t *route) {
    char why[200];
    lua_getfield(L, -1, "rate");
    route->rated = !lua_isnil(L, -1);
    if (route->rated) {
        span_t text = {NULL, 0};
        if (lua_type(L, -1) == LUA_TSTRING) text.ptr = lua_tolstring(L, -1, &text.len);
        if (!text.ptr) luaL_error(L, "a route's rate is not text");
        if (rate_read(text, &route->rate, why, sizeof why) != 0) luaL_error(L, "main.lua: %s", why);
    }
    lua_pop(L, 1);
}

/* session = true: read it; "required": and answer 401 without one. */
static void read_session(lua_State *L, app_route_t *route) {
    lua_getfield(L, -1, "session");
    const char *text = lua_tostring(L, -1);
    if (text && strcmp(text, "required") == 0)
        route->session = APP_SESSION_REQUIRED;
    else if (lua_toboolean(L, -1) && !text)
        route->session = APP_SESSION_READ;
    else if (text)
        luaL_error(L, "a route's session is true or \"required\", not %s", text);
    lua_pop(L, 1);
}

/* A route is a function, or {run = function, role = "owner", body_max = bytes, rate = "600/60s", session = true}. The
   value is at the top. */
static void read_route(lua_State *L, app_route_t *route) {
    if (lua_istable(L, -1)) {
        read_role(L, route);
        read_body_max(L, route);
        read_rate(L, route);
        read_session(L, route);
        lua_getfield(L, -1, "run");
    } else {
        lua_pushvalue(L, -1);
    }
    if (!lua_isfunction(L, -1))
        luaL_error(L, "main.lua: the route %s is not a function", route->spec);
    route->handler = luaL_ref(L, LUA_REGISTRYINDEX);
}

static char *keep(lua_State *L, app_t *app, int index) {
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    char *copy = arena_dup(&app->arena, text, len);
    if (!copy) luaL_error(L, "out of memory");
    return copy;
}

static size_t count_fields(lua_State *L, int table) {
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        count++;
    return count;
}

/* The name at -2, the route at -1. */
static void add_route(lua_State *L, app_t *app) {
    char why[160];
    if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "main.lua: a route's name is not text");
    app_route_t *route = &app->routes[app->nroutes];
    *route = (app_route_t){.handler = LUA_NOREF, .spec = keep(L, app, -2)};
    read_route(L, route);
    if (router_add(app->router, span_of(route->spec), (int)app->nroutes++, why, sizeof why) != 0)
        luaL_error(L, "main.lua: the route %s", why);
}

static span_t method_of(const app_route_t *route, span_t *pattern) {
    *pattern = span_of(route->spec);
    span_t method = span_cut(pattern, ' ');
    *pattern = span_trim(*pattern);
    return method;
}

static bool same_rate(const app_route_t *a, const app_route_t *b) {
    return a->rated == b->rated && a->rate.count == b->rate.count &&
           a->rate.period_s == b->rate.period_s && a->rate.burst == b->rate.burst;
}

/* The methods of one path share a bucket, but a bucket has one size: where another method says another rate, this one
   has its own. A route that says nothing gives way to one that does. */
static bool shares_bucket(const app_t *app, const app_route_t *route) {
    span_t own, pattern;
    method_of(route, &own);
    for (size_t i = 0; i < app->nroutes; i++) {
        const app_route_t *other = &app->routes[i];
        method_of(other, &pattern);
        if (span_eq(own, pattern) && other->rated && !same_rate(route, other)) return false;
    }
    return true;
}

static void name_buckets(lua_State *L, app_t *app) {
    for (size_t i = 0; i < app->nroutes; i++) {
        app_route_t *route = &app->routes[i];
        span_t pattern, method = method_of(route, &pattern);
        bool shares = shares_bucket(app, route);
        route->bucket = arena_printf(&app->arena, shares ? "%.*s" : "%.*s:%.*s", (int)pattern.len,
            pattern.ptr, (int)method.len, method.ptr);
        if (!route->bucket) luaL_error(L, "out of memory");
    }
}

static void read_routes(lua_State *L, app_t *app, int main) {
    lua_getfield(L, main, "routes");
    if (!lua_istable(L, -1)) luaL_error(L, "main.lua: there is no table routes");
    int table = lua_gettop(L);
    app->routes = arena_zalloc(&app->arena, (count_fields(L, table) + 1) * sizeof *app->routes);
    if (!app->routes) luaL_error(L, "out of memory");
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        add_route(L, app);
    lua_pop(L, 1);
    name_buckets(L, app);
}

/* The entry is at the top. */
static void read_entry(lua_State *L, app_t *app, app_background_t *entry) {
    if (!lua_istable(L, -1)) luaL_error(L, "main.lua: an entry of background is no table");
    lua_getfield(L, -1, "name");
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "main.lua: background has no name");
    entry->name = keep(L, app, -1);
    lua_getfield(L, -2, "every_ms");
    double every = lua_tonumber(L, -1);
    if (!(every >= EVERY_LEAST_MS && every <= EVERY_MOST_MS))
        luaL_error(L, "main.lua: every_ms of %s is not from 10 to a day", entry->name);
    entry->every_ms = (uint64_t)every;
    lua_getfield(L, -3, "run");
    if (!lua_isfunction(L, -1)) luaL_error(L, "main.lua: run of %s is no function", entry->name);
    entry->run = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 2);
}

static void read_background(lua_State *L, app_t *app, int main) {
    lua_getfield(L, main, "background");
    size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    app->background = arena_zalloc(&app->arena, (count + 1) * sizeof *app->background);
    if (!app->background) luaL_error(L, "out of memory");
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, (int)i);
        read_entry(L, app, &app->background[app->nbackground++]);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static int take_function(lua_State *L, int main, const char *table, const char *field) {
    lua_getfield(L, main, table);
    if (!lua_istable(L, -1)) luaL_error(L, "main.lua: there is no table %s", table);
    lua_getfield(L, -1, field);
    if (!lua_isfunction(L, -1)) luaL_error(L, "main.lua: %s.%s is not a function", table, field);
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
    return ref;
}

static int load_main(lua_State *L) {
    app_t *app = app_of(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "main");
    lua_call(L, 1, 1);
    if (!lua_istable(L, -1)) return luaL_error(L, "main.lua: it does not return a table");
    int main = lua_gettop(L);
    read_routes(L, app, main);
    read_background(L, app, main);
    app->resolve = take_function(L, main, "tenants", "resolve");
    app->seed = take_function(L, main, "tenants", "seed");
    lua_getfield(L, main, "tenant_shop");
    if (!lua_istable(L, -1)) return luaL_error(L, "main.lua: there is no table tenant_shop");
    app->shop = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

int launch_bare(struct services *services, bundle_t *bundle, app_t **out, char *why, size_t size) {
    *out = app_new(services, bundle);
    if (!*out) return err_why(ERR_NO_MEMORY, why, size, "out of memory");
    int err = modules_open(*out, why, size);
    if (!err) return 0;
    app_unref(*out);
    *out = NULL;
    return err;
}

int launch(struct services *services, bundle_t *bundle, app_t **out, char *why, size_t size) {
    int err = launch_bare(services, bundle, out, why, size);
    if (err) return err;
    err = vm_protect((*out)->vm, load_main, NULL, why, size);
    if (!err) return 0;
    app_unref(*out);
    *out = NULL;
    return err;
}
