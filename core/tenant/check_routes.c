/* check_routes.c: runs routes.lua once, without a request, and checks the table of routes it returns. */
#include "base/err.h"
#include "tenant/check_own.h"
#include "tenant/reserved.h"
#include "tenant/router.h"
#include <stdio.h>

#define ROUTES_MAX 200
/* sandbox_call wants a chunk that returns a function: the whole file becomes one, on the same lines. */
#define BEFORE "return function() return (function(...) "
#define AFTER "\nend)() end"

typedef struct routes {
    router_t *router;
    const char *file;
} routes_t;

static int push_nothing(lua_State *L, void *data) {
    (void)L;
    (void)data;
    return 0;
}

static int refuse_route(sandbox_fault_t *fault, const char *text) {
    if (text != fault->text) snprintf(fault->text, sizeof(fault->text), "%s", text);
    return ERR_BAD_RESULT;
}

/* The key at -2 and the value at -1. */
static int check_route(routes_t *routes, lua_State *L, int index, sandbox_fault_t *fault) {
    if (lua_type(L, -2) != LUA_TSTRING)
        return refuse_route(fault, "a route's key must be text such as \"GET /size-guide/:brand\"");
    span_t spec;
    spec.ptr = lua_tolstring(L, -2, &spec.len);
    if (router_add(routes->router, spec, index, fault->text, sizeof(fault->text)))
        return refuse_route(fault, fault->text);
    span_t path = spec;
    span_cut(&path, ' ');
    if (path_reserved(path)) {
        snprintf(fault->text, sizeof(fault->text), "\"%.100s\": the path belongs to the server",
            spec.ptr);
        return ERR_BAD_RESULT;
    }
    if (lua_isfunction(L, -1)) return 0;
    snprintf(fault->text, sizeof(fault->text), "\"%.100s\": a route must be a function, not a %s",
        spec.ptr, luaL_typename(L, -1));
    return ERR_BAD_RESULT;
}

static int take_routes(lua_State *L, void *data, sandbox_fault_t *fault) {
    int count = 0;
    if (!lua_istable(L, -1)) return refuse_route(fault, "the file must return a table of routes");
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (++count > ROUTES_MAX) return refuse_route(fault, "there are over 200 routes");
        int err = check_route(data, L, count, fault);
        if (err) return err;
        lua_pop(L, 1);
    }
    return 0;
}

static int run(sandbox_t *sandbox, span_t text, routes_t *routes, sandbox_fault_t *fault) {
    buf_t whole;
    int ref;
    buf_create(&whole);
    buf_text(&whole, BEFORE);
    buf_span(&whole, text);
    buf_text(&whole, AFTER);
    int err = whole.failed ? ERR_NO_MEMORY
                           : sandbox_load(sandbox, buf_view(&whole), routes->file, &ref, fault);
    buf_destroy(&whole);
    if (err) return err;
    sandbox_begin(sandbox, 1);
    err = sandbox_call(sandbox, ref, push_nothing, take_routes, routes, fault);
    sandbox_end(sandbox, NULL);
    return err;
}

void check_routes(check_report_t *report, sandbox_t *sandbox) {
    routes_t routes = {router_new(), rule_kind_file(RULE_ROUTES)};
    sandbox_fault_t fault = {.err = ERR_NO_MEMORY, .text = "out of memory"};
    if (!routes.router || run(sandbox, report->edition->text[RULE_ROUTES], &routes, &fault))
        check_fault(report, &fault, RULE_ROUTES, NULL);
    router_delete(routes.router);
}
