/* routes.c: reads the table that routes.lua returns into a router, and starts its functions. */
#include "tenant/routes.h"
#include "base/err.h"
#include "tenant/reserved.h"
#include <stdio.h>
#include <stdlib.h>

struct routes {
    edition_t *edition;
    sandbox_t *sandbox;
    arena_t arena;
    router_t *router;
    int ref;
    size_t count;
    span_t names[ROUTES_MAX]; /* "GET /size-guide/:brand" */
};

static int refuse(sandbox_fault_t *fault, const char *name, const char *what) {
    snprintf(fault->text, sizeof fault->text, "the route \"%.80s\" %s", name, what);
    return ERR_BAD_RESULT;
}

/* Where the function at the top begins. */
static int line_of(lua_State *L) {
    lua_Debug about;
    lua_pushvalue(L, -1);
    return lua_getinfo(L, ">S", &about) && about.linedefined > 0 ? about.linedefined : 1;
}

/* Name at -2, value at -1. */
static int add(lua_State *L, routes_t *routes, sandbox_fault_t *fault) {
    char why[200];
    fault->line = 1;
    if (lua_type(L, -2) != LUA_TSTRING) return refuse(fault, "?", "has a name that is not text");
    span_t name;
    name.ptr = lua_tolstring(L, -2, &name.len);
    if (!lua_isfunction(L, -1)) return refuse(fault, name.ptr, "is not a function");
    fault->line = line_of(L);
    if (routes->count == ROUTES_MAX) return refuse(fault, name.ptr, "is one too many: at most 200");
    char *copy = arena_dup(&routes->arena, name.ptr, name.len);
    if (!copy) return ERR_NO_MEMORY;
    span_t path = {copy, name.len};
    span_cut(&path, ' ');
    if (path_reserved(path))
        return refuse(fault, copy, "takes a path that belongs to the platform");
    span_t kept = {copy, name.len};
    int err = router_add(routes->router, kept, (int)routes->count, why, sizeof why);
    if (err) {
        /* The router's sentence begins with the route. */
        snprintf(fault->text, sizeof fault->text, "the route %s", why);
        return err == ERR_NO_MEMORY ? err : ERR_BAD_RESULT;
    }
    routes->names[routes->count++] = kept;
    return 0;
}

static int take_table(lua_State *L, void *data, sandbox_fault_t *fault) {
    routes_t *routes = data;
    if (lua_isnil(L, -1)) return 0;
    if (!lua_istable(L, -1)) {
        fault->line = 1;
        snprintf(fault->text, sizeof fault->text,
            "the file returns a value of type %s instead of a table of routes",
            luaL_typename(L, -1));
        return ERR_BAD_RESULT;
    }
    int err = 0;
    for (lua_pushnil(L); !err && lua_next(L, -2); lua_pop(L, 1))
        err = add(L, routes, fault);
    if (!err) fault->line = 0;
    return err;
}

static int fill(routes_t *routes, sandbox_fault_t *fault) {
    int err = sandbox_load(routes->sandbox, routes->edition->text[RULE_ROUTES],
        rule_kind_file(RULE_ROUTES), &routes->ref, fault);
    if (err) return err;
    sandbox_begin(routes->sandbox, 0);
    err = sandbox_call(routes->sandbox, routes->ref, NULL, take_table, routes, fault);
    sandbox_end(routes->sandbox, NULL);
    return err;
}

int routes_open(edition_t *edition, loop_t *loop, const sandbox_limits_t *limits,
    void (*tail)(void *data, span_t line), void *data, routes_t **out, sandbox_fault_t *fault) {
    *out = NULL;
    memset(fault, 0, sizeof *fault);
    routes_t *routes = calloc(1, sizeof *routes);
    if (!routes) return fault->err = ERR_NO_MEMORY;
    arena_create(&routes->arena);
    routes->edition = edition_ref(edition);
    routes->router = router_new();
    routes->sandbox = sandbox_new(loop, limits, tail, data);
    int err = routes->router && routes->sandbox ? fill(routes, fault) : ERR_NO_MEMORY;
    if (!err) {
        *out = routes;
        return 0;
    }
    fault->err = err;
    routes_close(routes);
    return err;
}

void routes_close(routes_t *routes) {
    if (!routes) return;
    sandbox_delete(routes->sandbox);
    router_delete(routes->router);
    arena_destroy(&routes->arena);
    edition_unref(routes->edition);
    free(routes);
}

edition_t *routes_edition(const routes_t *routes) {
    return routes->edition;
}
const router_t *routes_router(const routes_t *routes) {
    return routes->router;
}
size_t routes_count(const routes_t *routes) {
    return routes->count;
}
bool routes_spent(const routes_t *routes) {
    return sandbox_spent(routes->sandbox);
}

task_t *routes_start(routes_t *routes, const route_t *route, const task_options_t *options,
    int (*push)(lua_State *L, void *data), void *data, bool *alive, sandbox_fault_t *fault) {
    task_options_t own = *options;
    own.vm = sandbox_vm(routes->sandbox);
    return sandbox_start(routes->sandbox, routes->ref, routes->names[route->index].ptr, &own, push,
        data, alive, fault);
}
