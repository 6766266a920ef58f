/* gate.c: one round trip to the cache role before a script starts; a request over its limit ends here. */
#include "gate.h"
#include "base/cache_ops.h"
#include "base/err.h"
#include "base/log.h"
#include "reply.h"
#include "resolve.h"
#include "traffic.h"
#include <stdlib.h>

#define LOG_EVERY_MS 1000

struct gate {
    services_t *services;
    rate_limit_t rate; /* where neither route nor tenant says otherwise */
    bool closed;       /* without the store, nothing limited passes */
    uint64_t logged_ms;
};

/* A request inside the gate; in its arena. */
struct gate_visit {
    cache_gate_t op;
    gate_t *gate;
    request_t *request;
    gate_cb through;
    rate_limit_t rate;
    bool inside;
};

static const value_limits_t LIMITS = {.depth = 16, .nodes = 10000, .bytes = 262144};

gate_t *gate_new(services_t *services) {
    gate_t *gate = calloc(1, sizeof *gate);
    char why[200];
    if (!gate) return NULL;
    gate->services = services;
    gate->closed = strcmp(services->config.rate_limit_without_store, "closed") == 0;
    rate_read(span_of(services->config.rate_limit), &gate->rate, why, sizeof why);
    return gate;
}

void gate_delete(gate_t *gate) {
    free(gate);
}

/* The limit of settings.rateLimits with this name, or NULL. */
static const settings_limit_t *tenant_limit(const settings_t *settings, span_t name) {
    for (size_t i = 0; i < settings->nlimits; i++)
        if (span_eq(settings->limits[i].name, name)) return &settings->limits[i];
    return NULL;
}

/* "GET /api/products" and the bucket of that method alone; empty when out of memory. */
static span_t spell(request_t *request, span_t first, const char *between, span_t second) {
    char *text = arena_printf(&request->exchange->arena, "%.*s%s%.*s", (int)first.len, first.ptr,
        between, (int)second.len, second.ptr);
    return text ? span_of(text) : (span_t){NULL, 0};
}

/* What the tenant says of this method, then of the template. */
static const settings_limit_t *named_limit(request_t *request, span_t *bucket) {
    const settings_t *settings = request->settings;
    const route_t *route = request->match.route;
    if (settings->nlimits == 0) return NULL;
    const settings_limit_t *limit =
        tenant_limit(settings, spell(request, route->method, " ", route->pattern));
    *bucket =
        limit ? spell(request, route->pattern, ":", route->method) : request->match.route->pattern;
    return limit ? limit : tenant_limit(settings, route->pattern);
}

/* The limit that applies (count 0: none) and the bucket it takes from. */
static rate_limit_t limit_of(const gate_t *gate, request_t *request, span_t *bucket) {
    const app_route_t *route = request->route;
    const settings_limit_t *limit = named_limit(request, bucket);
    if (limit) return limit->rate;
    *bucket = route ? span_of(route->bucket) : request->match.route->pattern;
    if (route && route->rated) return route->rate;
    limit = request->settings->nlimits ? tenant_limit(request->settings, SPAN("*")) : NULL;
    return limit ? limit->rate : gate->rate;
}

static void keep_lines(request_t *request, const buf_t *lines) {
    char *copy =
        lines->failed ? NULL : arena_dup(&request->exchange->arena, lines->ptr, lines->len);
    if (copy) request->limits = (span_t){copy, lines->len};
}

static bool wants_session(const request_t *request) {
    return request->route && request->route->session != APP_SESSION_UNREAD;
}

void gate_find(gate_t *gate, request_t *request) {
    span_t bucket = {NULL, 0};
    rate_limit_t rate = limit_of(gate, request, &bucket);
    if (rate.count == 0 && !wants_session(request)) return;
    gate_visit_t *visit = arena_zalloc(&request->exchange->arena, sizeof *visit);
    if (!visit) return;
    *visit = (gate_visit_t){.gate = gate, .request = request, .rate = rate};
    request->visit = visit;
    if (rate.count == 0) return;
    visit->op.bucket = bucket;
    visit->op.interval_us = rate_interval_us(&rate);
    visit->op.capacity_us = rate_capacity_us(&rate);
    buf_t *lines = traffic_lines(request->traffic);
    rate_put_policy(lines, &rate);
    keep_lines(request, lines);
}

static int64_t version_of(const settings_t *settings) {
    const value_t *version = value_field(&settings->document, "version");
    return version && version->kind == VALUE_INT ? version->integer : 0;
}

/* config:{tenant} as another process has stored it: when it is newer than what is known here, this very request uses
   it. */
static void read_settings(gate_visit_t *visit) {
    request_t *request = visit->request;
    settings_t *known = request->settings;
    value_t document;
    char why[200];
    uint64_t hash = map_hash(visit->op.config_text);
    if (!visit->op.config_text.ptr || hash == known->seen) return;
    known->seen = hash;
    if (value_parse(visit->op.config_text, &request->exchange->arena, &LIMITS, true, &document, why,
            sizeof why) != 0)
        return;
    settings_t *settings = settings_new(&document, why, sizeof why);
    if (!settings) return;
    settings->seen = hash;
    if (span_eq(settings->id, known->id) && version_of(settings) > version_of(known)) {
        request->settings = settings_ref(settings);
        resolve_adopt(visit->gate->services->resolve, settings);
        settings_unref(known);
    }
    settings_unref(settings);
}

/* False when out of memory: who is signed in must not be taken for a stranger. */
static bool read_session(gate_visit_t *visit) {
    span_t text = visit->op.session_text;
    if (visit->op.session_err || !text.len) return true;
    char *copy = arena_dup(&visit->request->exchange->arena, text.ptr, text.len);
    if (copy) visit->request->session_data = (span_t){copy, text.len};
    return copy != NULL;
}

static void leave(gate_visit_t *visit, bool passed) {
    visit->inside = false;
    visit->through(visit->request, passed);
}

static void refuse(gate_visit_t *visit, int err, const char *detail, span_t headers) {
    reply_problem_with(visit->request, err, detail, headers);
    leave(visit, false);
}

static void log_without(gate_t *gate, int err) {
    uint64_t now = loop_now(gate->services->loop);
    if (gate->logged_ms && now - gate->logged_ms < LOG_EVERY_MS) return;
    gate->logged_ms = now;
    log_event(LOG_WARN, "rate_limit_without_store", "\"error\":\"%s\",\"requests\":\"%s\"",
        err_name(err), gate->closed ? "refused" : "let through");
}

static void refuse_rate(gate_visit_t *visit, uint64_t seconds) {
    char header[48], detail[120];
    snprintf(header, sizeof header, "Retry-After: %llu\r\n", (unsigned long long)seconds);
    snprintf(detail, sizeof detail,
        "this route's limit is used up; the next request is let through in %llu s",
        (unsigned long long)seconds);
    refuse(visit, ERR_TOO_MANY_REQUESTS, detail, span_of(header));
}

/* Whether the request is within its limit; if not, it has been answered. */
static bool within_rate(gate_visit_t *visit, int err) {
    request_t *request = visit->request;
    if (visit->rate.count == 0) return true;
    if (err) {
        log_without(visit->gate, err);
        if (!visit->gate->closed) return true;
        refuse(visit, ERR_UNAVAILABLE, "requests cannot be counted now", (span_t){NULL, 0});
        return false;
    }
    rate_state_t state = rate_tell(&visit->rate, visit->op.ahead_us);
    buf_t *lines = traffic_lines(request->traffic);
    buf_span(lines, request->limits);
    rate_put_state(lines, &visit->rate, &state);
    keep_lines(request, lines);
    if (!state.allowed) refuse_rate(visit, state.reset_s);
    return state.allowed;
}

/* Whether the session that the route insists on is there; if not, the request has been answered. */
static bool has_session(gate_visit_t *visit, int err) {
    request_t *request = visit->request;
    bool insists = request->route && request->route->session == APP_SESSION_REQUIRED;
    if (!insists || request->session_data.len) return true;
    if (err)
        refuse(visit, ERR_UNAVAILABLE, "sessions cannot be read now", (span_t){NULL, 0});
    else
        refuse(visit, ERR_UNAUTHORIZED, "this needs a session", (span_t){NULL, 0});
    return false;
}

static void on_told(cache_gate_t *op) {
    gate_visit_t *visit = op->data;
    if (!op->config_err) read_settings(visit);
    bool whole = read_session(visit);
    if (!within_rate(visit, op->rate_err)) return;
    if (!whole)
        refuse(visit, ERR_NO_MEMORY, NULL, (span_t){NULL, 0});
    else if (has_session(visit, op->session_err))
        leave(visit, true);
}

/* The engine takes nothing more: as if it were away. */
static void without_store(gate_visit_t *visit, int err) {
    if (within_rate(visit, err) && has_session(visit, err)) leave(visit, true);
}

static uint64_t wait_ms(const gate_t *gate, const request_t *request) {
    uint64_t now = loop_now(gate->services->loop);
    uint64_t left = request->deadline_ms > now ? request->deadline_ms - now : 1;
    uint64_t most = request_cache_ms(request, now, gate->services->cache.wait_ms);
    return left < most ? left : most;
}

void gate_enter(gate_t *gate, request_t *request, gate_cb through) {
    gate_visit_t *visit = request->visit;
    if (!visit) {
        through(request, true);
        return;
    }
    visit->through = through;
    visit->inside = true;
    visit->op.tenant = request->settings->id;
    visit->op.session = request->session;
    visit->op.wait_ms = wait_ms(gate, request);
    visit->op.done = on_told;
    visit->op.data = visit;
    const cache_ops_t *ops = &gate->services->cache;
    int err = ops->gate(ops->engine, &visit->op);
    if (err) without_store(visit, err);
}

void gate_abandon(request_t *request) {
    gate_visit_t *visit = request->visit;
    if (!visit || !visit->inside) return;
    visit->gate->services->cache.gate_cancel(&visit->op);
    leave(visit, false);
}
