/* server.c: one request's road: tenant, route, role, handler, answer, log line. */
#include "server.h"
#include "access_log.h"
#include "base/err.h"
#include "base/log.h"
#include "detach.h"
#include "gate.h"
#include "handler.h"
#include "health.h"
#include "keys.h"
#include "reply.h"
#include "resolve.h"
#include "tenant_routes.h"
#include "traffic.h"
#include <stdio.h>
#include <stdlib.h>

struct server {
    services_t *services;
    exchange_ops_t ops;
    traffic_t traffic;
    resolve_t *resolve;
    gate_t *gate;
    sites_t *sites;
    bool ready;
};

app_t *server_app(server_t *server) {
    return server->traffic.app;
}

void server_swap(server_t *server, app_t *app) {
    app_unref(server->traffic.app);
    server->traffic.app = app;
}

void server_set_ready(server_t *server, bool ready) {
    server->ready = ready;
}

static void through_gate(request_t *request, bool passed) {
    if (passed) handler_run(request);
}

/* Who may not use the route at all takes nothing from its limit: else anybody could use up the owner's. */
static void run_api(server_t *server, request_t *request) {
    gate_t *gate = server->gate;
    request->route = &request->app->routes[request->match.route->index];
    keys_read(request, &server->services->config);
    gate_find(gate, request);
    const char *needed = request->route->role;
    if (*needed && (!request->role || strcmp(request->role, needed) != 0))
        reply_problem(request, request->key_known ? ERR_DENIED : ERR_UNAUTHORIZED, NULL);
    else
        gate_enter(gate, request, through_gate);
}

/* The path has other methods: OPTIONS tells them, anything else is refused with them. */
static void answer_allow(request_t *request) {
    buf_t *lines = traffic_lines(request->traffic);
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

static void on_tenant(void *data, request_t *request, int err) {
    server_t *server = data;
    if (err) {
        reply_problem(request, err, err == ERR_NOT_FOUND ? "no shop answers at this host" : NULL);
        return;
    }
    request->app = app_ref(server->traffic.app);
    err = request_match(request, request->app->router);
    if (err)
        reply_problem(request, err, err == ERR_INVALID ? "the path is not well-formed" : NULL);
    else if (!request_query_ok(request))
        reply_problem(request, ERR_INVALID, "the query is not well-formed");
    else if (request->match.route)
        run_api(server, request);
    else if (request->match.path_known || !tenant_routes_run(server->sites, server->gate, request))
        answer_unrouted(request);
}

static request_t *request_new(server_t *server, exchange_t *exchange) {
    request_t *request = arena_zalloc(&exchange->arena, sizeof *request);
    if (!request || traffic_enter(&server->traffic, request) != 0) return NULL;
    request->exchange = exchange;
    request->arrived_ms = loop_now(server->services->loop);
    request->deadline_ms = request->arrived_ms + (uint64_t)server->services->config.request_ms;
    list_init(&request->waiting);
    exchange->user = request;
    request_read_head(request, &server->services->config);
    return request;
}

static void refuse_busy(server_t *server, exchange_t *exchange) {
    buf_t *body = traffic_body(&server->traffic);
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
    request_t *request = server->traffic.app ? request_new(server, exchange) : NULL;
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
    (void)data;
    request_t *request = exchange->user;
    access_log_write(exchange, request);
    if (!request) return;
    traffic_leave(request);
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
    const app_t *app = server->traffic.app;
    if (!app) return limit;
    arena_t arena;
    route_match_t match;
    arena_create(&arena);
    bool found =
        router_match(app->router, exchange->method_text, exchange->path, &arena, &match) == 0 &&
        match.route;
    if (found) limit = route_limit(&app->routes[match.route->index], exchange, limit);
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
    traffic_create(&server->traffic);
    services->traffic = &server->traffic;
    server->resolve = services->resolve = resolve_new(services, on_tenant, server);
    server->sites = sites_new(services);
    server->gate = gate_new(services);
    if (server->resolve && server->sites && server->gate) return server;
    server_delete(server);
    return NULL;
}

void server_delete(server_t *server) {
    services_t *services = server->services;
    detach_stop(services);
    services->traffic = NULL;
    services->resolve = NULL;
    if (server->resolve) resolve_delete(server->resolve);
    if (server->sites) sites_delete(server->sites);
    gate_delete(server->gate);
    traffic_destroy(&server->traffic);
    free(server);
}
