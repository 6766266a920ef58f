/* server.c: one request's road: tenant, route, role, handler, answer, log line. */
#include "server.h"
#include "access_log.h"
#include "base/err.h"
#include "base/log.h"
#include "detach.h"
#include "gate.h"
#include "health.h"
#include "keys.h"
#include "reply.h"
#include "req.h"
#include "resolve.h"
#include "tenant_routes.h"
#include <stdio.h>
#include <stdlib.h>

/* A grown answer buffer is given back, so that one large answer does not stay in memory for good. */
#define BUFFER_KEEP (256 * 1024)

struct server {
    services_t *services;
    exchange_ops_t ops;
    app_t *app;
    resolve_t *resolve;
    gate_t *gate;
    sites_t *sites;
    request_slots_t slots;
    buf_t body, lines;
    bool ready;
};

static buf_t *emptied(buf_t *buf) {
    if (buf->cap > BUFFER_KEEP) {
        buf_destroy(buf);
        buf_create(buf);
    }
    buf_reset(buf);
    return buf;
}

buf_t *server_body(server_t *server) {
    return emptied(&server->body);
}
buf_t *server_lines(server_t *server) {
    return emptied(&server->lines);
}
app_t *server_app(server_t *server) {
    return server->app;
}
void server_set_ready(server_t *server, bool ready) {
    server->ready = ready;
}
void server_forget_tenants(server_t *server) {
    resolve_forget(server->resolve);
}

void server_adopt(server_t *server, settings_t *settings) {
    resolve_adopt(server->resolve, settings);
}

request_t *server_find(server_t *server, double handle) {
    return request_slots_find(&server->slots, handle);
}

void server_swap(server_t *server, app_t *app) {
    app_unref(server->app);
    server->app = app;
}

void server_push_problem(lua_State *L, request_t *request, int err, const char *detail) {
    int status = err_status(err);
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "__answer");
    lua_pushinteger(L, status);
    lua_setfield(L, -2, "status");
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "application/problem+json");
    lua_setfield(L, -2, "content-type");
    lua_setfield(L, -2, "headers");
    buf_t *body = server_body(request->server);
    reply_write_problem(body, err, detail, request->id);
    if (body->failed) luaL_error(L, "out of memory");
    lua_pushlstring(L, body->ptr, body->len);
    lua_setfield(L, -2, "body");
}

/* problem.raise: an error whose value is an answer. */
static void on_error(request_t *request, lua_State *L, int nresults, const char *error) {
    if (nresults && reply_raised(request, L, lua_gettop(L))) return;
    reply_failure(request, ERR_INTERNAL, error);
}

static void on_done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    request_t *request = task_user(task);
    request->task = NULL;
    request->waited_ns = task_waited_ns(task, "");
    if (end == TASK_CANCELLED) return; /* the exchange is going */
    if (end == TASK_OK)
        reply_value(request, L, nresults ? lua_gettop(L) - nresults + 1 : 0);
    else if (end == TASK_ERROR)
        on_error(request, L, nresults, error);
    else if (end == TASK_TIMEOUT)
        reply_problem(request, ERR_TIMEOUT, NULL);
    else
        reply_failure(request, ERR_NO_MEMORY, error);
}

static int push_handler(lua_State *L, void *data) {
    request_t *request = data;
    lua_rawgeti(L, LUA_REGISTRYINDEX, request->route->handler);
    req_push(L, request);
    return 1;
}

/* By its address a task is known for a handler's. */
static const task_ops_t HANDLER = {.done = on_done};

request_t *server_request_of(task_t *task) {
    const task_t *root = task ? task_root(task) : NULL;
    if (root && task_get_ops(root) == &HANDLER) return task_user(root);
    return detach_request(root);
}

static void run_handler(request_t *request) {
    task_options_t options = {.vm = request->app->vm,
        .ops = &HANDLER,
        .user = request,
        .deadline_ms = request->deadline_ms,
        .request_id = request->id};
    bool alive;
    task_t *task = task_start(&options, push_handler, request, &alive);
    if (alive)
        request->task = task;
    else if (!task)
        reply_problem(request, ERR_NO_MEMORY, NULL);
}

static void through_gate(request_t *request, bool passed) {
    if (passed) run_handler(request);
}

/* Who may not use the route at all takes nothing from its limit: else anybody could use up the owner's. */
static void run_api(request_t *request) {
    gate_t *gate = request->server->gate;
    request->route = &request->app->routes[request->match.route->index];
    keys_read(request, &request->server->services->config);
    gate_find(gate, request);
    const char *needed = request->route->role;
    if (*needed && (!request->role || strcmp(request->role, needed) != 0))
        reply_problem(request, request->key_known ? ERR_DENIED : ERR_UNAUTHORIZED, NULL);
    else
        gate_enter(gate, request, through_gate);
}

/* The path has other methods: OPTIONS tells them, anything else is refused with them. */
static void answer_allow(request_t *request) {
    buf_t *lines = server_lines(request->server);
    char allow[96];
    snprintf(allow, sizeof allow, "Allow: %s\r\n", request->match.allow);
    if (request->exchange->method != METHOD_OPTIONS) {
        reply_problem_with(request, ERR_METHOD_NOT_ALLOWED, NULL, span_of(allow));
        return;
    }
    buf_printf(lines, "%sX-Request-ID: %s\r\n", allow, request->id);
    answer_t answer = {.status = 204, .headers = buf_view(lines)};
    exchange_answer(request->exchange, &answer);
}

static void answer_unrouted(request_t *request) {
    if (request->match.path_known)
        answer_allow(request);
    else
        reply_problem(request, ERR_NOT_FOUND, "there is nothing at this path");
}

static void on_tenant(request_t *request, int err) {
    server_t *server = request->server;
    if (err) {
        reply_problem(request, err, err == ERR_NOT_FOUND ? "no shop answers at this host" : NULL);
        return;
    }
    request->app = app_ref(server->app);
    err = request_match(request, request->app->router);
    if (err)
        reply_problem(request, err, err == ERR_INVALID ? "the path is not well-formed" : NULL);
    else if (!request_query_ok(request))
        reply_problem(request, ERR_INVALID, "the query is not well-formed");
    else if (request->match.route)
        run_api(request);
    else if (request->match.path_known || !tenant_routes_run(server->sites, server->gate, request))
        answer_unrouted(request);
}

static request_t *request_new(server_t *server, exchange_t *exchange) {
    request_t *request = arena_zalloc(&exchange->arena, sizeof *request);
    if (!request || request_slots_take(&server->slots, request) != 0) return NULL;
    request->server = server;
    request->exchange = exchange;
    request->deadline_ms =
        loop_now(server->services->loop) + (uint64_t)server->services->config.request_ms;
    list_init(&request->waiting);
    exchange->user = request;
    request_read_head(request, &server->services->config);
    return request;
}

static void refuse_busy(server_t *server, exchange_t *exchange) {
    buf_t *body = server_body(server);
    reply_write_problem(body, ERR_BUSY, NULL, "");
    answer_t answer = {.status = err_status(ERR_BUSY),
        .type = SPAN("application/problem+json"),
        .headers = SPAN("Retry-After: 1\r\n")};
    if (!body->failed) answer.body = buf_view(body);
    exchange_answer(exchange, &answer);
}

static void on_request(void *data, exchange_t *exchange) {
    server_t *server = data;
    if (health_answer(exchange, server->services, server->ready)) return;
    request_t *request = server->app ? request_new(server, exchange) : NULL;
    if (request)
        resolve_request(server->resolve, request);
    else
        refuse_busy(server, exchange);
}

static void on_gone(void *data, exchange_t *exchange) {
    (void)data;
    request_t *request = exchange->user;
    if (!request) return;
    resolve_abandon(request);
    gate_abandon(request);
    if (request->task) task_cancel(request->task);
}

static void on_ended(void *data, exchange_t *exchange) {
    server_t *server = data;
    request_t *request = exchange->user;
    access_log_write(exchange, request);
    if (!request) return;
    request_slots_give(&server->slots, request);
    settings_unref(request->settings);
    app_unref(request->app);
    exchange->user = NULL;
}

/* A route's own limit is for who may use the route: without a key a role's route takes no more than any other. */
static size_t route_limit(const app_route_t *route, const exchange_t *exchange, size_t limit) {
    bool stranger = *route->role && !exchange_header(exchange, SPAN("authorization")).ptr;
    if (!route->body_max || (stranger && route->body_max > limit)) return limit;
    return route->body_max;
}

static size_t on_body_limit(void *data, const exchange_t *exchange) {
    server_t *server = data;
    size_t limit = (size_t)server->services->config.body_max_bytes;
    if (!server->app) return limit;
    arena_t arena;
    route_match_t match;
    arena_create(&arena);
    bool found = router_match(server->app->router, exchange->method_text, exchange->path, &arena,
                     &match) == 0 &&
                 match.route;
    if (found) limit = route_limit(&server->app->routes[match.route->index], exchange, limit);
    arena_destroy(&arena);
    return limit;
}

static void on_problem(void *data, int err, const char *detail, buf_t *body, const char **type) {
    (void)data;
    *type = "application/problem+json";
    reply_write_problem(body, err, detail, "");
}

const exchange_ops_t *server_ops(server_t *server) {
    return &server->ops;
}

server_t *server_new(services_t *services) {
    server_t *server = calloc(1, sizeof *server);
    if (!server) return NULL;
    server->services = services;
    server->ops = (exchange_ops_t){.request = on_request,
        .gone = on_gone,
        .ended = on_ended,
        .body_limit = on_body_limit,
        .problem = on_problem,
        .data = server};
    request_slots_create(&server->slots);
    buf_create(&server->body);
    buf_create(&server->lines);
    server->resolve = resolve_new(services, on_tenant);
    server->sites = sites_new(services);
    server->gate = gate_new(services);
    if (!server->resolve || !server->sites || !server->gate) {
        if (server->resolve) resolve_delete(server->resolve);
        if (server->sites) sites_delete(server->sites);
        gate_delete(server->gate);
        free(server);
        return NULL;
    }
    services->server = server;
    return server;
}

void server_delete(server_t *server) {
    detach_stop(server->services);
    server->services->server = NULL;
    app_unref(server->app);
    resolve_delete(server->resolve);
    sites_delete(server->sites);
    gate_delete(server->gate);
    request_slots_destroy(&server->slots);
    buf_destroy(&server->body);
    buf_destroy(&server->lines);
    free(server);
}
