/* tenant_routes.c: hands a tenant's script the request and the shop, and turns the plain data it returns into an
   answer. */
#include "tenant_routes.h"
#include "base/err.h"
#include "base/log.h"
#include "lua/value.h"
#include "reply.h"
#include "req.h"
#include "server.h"
#include "shop.h"

static const value_limits_t LIMITS = {.depth = 16, .nodes = 50000, .bytes = 1024 * 1024};

/* What a tenant's script may read of the head; never cookies or keys. */
static const char *const HEADERS[] = {
    "accept", "accept-language", "content-type", "referer", "user-agent", NULL};
/* What it may not say: framing is the server's, and sessions are the platform's. */
static const char *const REFUSED[] = {"connection", "content-length", "date", "keep-alive",
    "set-cookie", "trailer", "transfer-encoding", "upgrade", "x-request-id", NULL};

typedef struct visit {
    request_t *request;
    site_t *site;
    value_t json;
    bool has_json;
} visit_t;

static bool listed(const char *const *names, span_t name) {
    for (size_t i = 0; names[i]; i++)
        if (span_ieq(name, span_of(names[i]))) return true;
    return false;
}

static void set_text(lua_State *L, const char *field, span_t text) {
    lua_pushlstring(L, text.ptr, text.len);
    lua_setfield(L, -2, field);
}

static void push_headers(lua_State *L, const exchange_t *exchange) {
    lua_newtable(L);
    for (size_t i = 0; HEADERS[i]; i++) {
        span_t value = exchange_header(exchange, span_of(HEADERS[i]));
        if (value.ptr) set_text(L, HEADERS[i], value);
    }
    lua_setfield(L, -2, "headers");
}

static int push_arguments(lua_State *L, void *data) {
    visit_t *visit = data;
    request_t *request = visit->request;
    lua_createtable(L, 0, 7);
    set_text(L, "method", request->exchange->method_text);
    set_text(L, "path", request->exchange->path);
    push_headers(L, request->exchange);
    req_push_params(L, request);
    lua_setfield(L, -2, "params");
    req_push_query(L, request);
    lua_setfield(L, -2, "query");
    if (visit->has_json) {
        value_push(L, &visit->json);
        lua_setfield(L, -2, "json");
    }
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "guest");
    lua_setfield(L, -2, "group");
    lua_setfield(L, -2, "customer");
    lua_setfield(L, -2, "session");
    shop_push(L);
    return 2;
}

static void log_fault(const request_t *request, const sandbox_fault_t *fault) {
    buf_t *line = log_begin(LOG_WARN, "tenant_route_failed");
    if (!line) return;
    buf_text(line, ",\"tenant\":");
    buf_json(line, request->settings->slug);
    buf_text(line, ",\"requestId\":");
    buf_json(line, span_of(request->id));
    buf_printf(line, ",\"code\":\"%s\",\"at\":", err_name(fault->err));
    buf_json(line, span_of(fault->file));
    buf_printf(line, ",\"line\":%d,\"error\":", fault->line);
    buf_json(line, span_of(fault->text));
    log_end();
}

static void fail(request_t *request, const sandbox_fault_t *fault) {
    log_fault(request, fault);
    reply_problem(request, ERR_INTERNAL, "the shop's own code for this page failed");
}

static bool is_budget(int err) {
    return err == ERR_BUDGET_TIME || err == ERR_BUDGET_INSTRUCTIONS || err == ERR_BUDGET_MEMORY;
}

static bool clean(span_t text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 32 || text.ptr[i] == 127) return false;
    return true;
}

static bool is_token(span_t name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '_') return false;
    }
    return name.len > 0;
}

static const char *put_headers(const value_t *headers, buf_t *lines, span_t *type) {
    if (!headers) return NULL;
    if (headers->kind == VALUE_LIST && headers->list.count == 0) return NULL;
    if (headers->kind != VALUE_TABLE) return "headers is not a table";
    for (size_t i = 0; i < headers->table.count; i++) {
        span_t name = headers->table.pairs[i].key;
        const value_t *value = headers->table.pairs[i].value;
        if (value->kind != VALUE_STRING || !is_token(name) || !clean(value->string))
            return "a header is not text that can be sent";
        if (listed(REFUSED, name)) return "a header belongs to the platform";
        if (span_ieq(name, SPAN("content-type"))) {
            *type = value->string;
            continue;
        }
        buf_span(lines, name);
        buf_text(lines, ": ");
        buf_span(lines, value->string);
        buf_text(lines, "\r\n");
    }
    return NULL;
}

static const char *put_body(const value_t *body, buf_t *out, span_t *type) {
    if (!body || body->kind == VALUE_NIL) return NULL;
    if (body->kind == VALUE_STRING) {
        if (!type->len) *type = SPAN("text/plain; charset=utf-8");
        buf_span(out, body->string);
    } else {
        if (!type->len) *type = SPAN("application/json");
        value_json(out, body);
    }
    return NULL;
}

/* NULL, or what is wrong with the answer. */
static const char *answer_with(request_t *request, const value_t *value) {
    buf_t *body = server_body(request->server), *lines = server_lines(request->server);
    answer_t answer = {.status = 200};
    const value_t *mark = value_field(value, "__answer");
    const char *wrong = NULL;
    reply_put_common(request, lines);
    if (value->kind == VALUE_NIL) {
        answer.status = 204;
    } else if (mark && mark->kind == VALUE_BOOL && mark->boolean) {
        const value_t *status = value_field(value, "status");
        if (status && status->kind != VALUE_INT) return "status is not a whole number";
        if (status) answer.status = (int)status->integer;
        if (status && (status->integer < 200 || status->integer > 599))
            return "status is not from 200 to 599";
        wrong = put_headers(value_field(value, "headers"), lines, &answer.type);
        if (!wrong) wrong = put_body(value_field(value, "body"), body, &answer.type);
    } else {
        wrong = put_body(value, body, &answer.type);
    }
    if (wrong) return wrong;
    answer.headers = buf_view(lines);
    answer.body = buf_view(body);
    exchange_answer(request->exchange, &answer);
    return NULL;
}

static void answer_result(visit_t *visit, lua_State *L, int nresults) {
    request_t *request = visit->request;
    sandbox_fault_t fault = {.err = ERR_BAD_RESULT, .file = "routes.lua"};
    value_t value = {.kind = VALUE_NIL};
    int first = lua_gettop(L) - nresults + 1;
    if (nresults && value_pack(L, first, &request->exchange->arena, &LIMITS, &value, fault.text,
                        sizeof fault.text) != 0) {
        fail(request, &fault);
        return;
    }
    const char *wrong = answer_with(request, &value);
    if (!wrong) return;
    snprintf(fault.text, sizeof fault.text, "%s", wrong);
    fail(request, &fault);
}

static void on_done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    visit_t *visit = task_user(task);
    request_t *request = visit->request;
    sandbox_fault_t fault = {0};
    request->task = NULL;
    request->waited_ns = task_waited_ns(task, "");
    if (end == TASK_OK) {
        answer_result(visit, L, nresults);
    } else if (end == TASK_TIMEOUT) {
        reply_problem(request, ERR_TIMEOUT, NULL);
    } else if (end != TASK_CANCELLED) {
        sandbox_task_fault(task, error, &fault);
        if (is_budget(fault.err)) site_killed(visit->site);
        fail(request, &fault);
    }
    site_leave(visit->site);
}

/* The body as plain data; what is not JSON is simply not there. */
static void read_json(visit_t *visit) {
    exchange_t *exchange = visit->request->exchange;
    char why[120];
    visit->has_json = exchange->body.len && value_parse(exchange->body, &exchange->arena, &LIMITS,
                                                false, &visit->json, why, sizeof why) == 0;
}

static void start(request_t *request) {
    site_t *site = request->site;
    static const task_ops_t OPS = {.done = on_done};
    visit_t *visit = arena_zalloc(&request->exchange->arena, sizeof *visit);
    if (!visit) {
        reply_problem(request, ERR_NO_MEMORY, NULL);
        site_leave(site);
        return;
    }
    *visit = (visit_t){.request = request, .site = site};
    read_json(visit);
    uint64_t latest = loop_now(request->exchange->loop) + SHOP_MS;
    task_options_t options = {.ops = &OPS,
        .user = visit,
        .request_id = request->id,
        .budget_waits = SHOP_CALLS_MAX,
        .deadline_ms = latest < request->deadline_ms ? latest : request->deadline_ms};
    sandbox_fault_t fault = {0};
    bool alive;
    task_t *task = routes_start(
        site->routes, request->match.route, &options, push_arguments, visit, &alive, &fault);
    if (alive) request->task = task;
    if (task) return;
    if (is_budget(fault.err)) site_killed(site);
    fail(request, &fault);
    site_leave(site);
}

request_t *tenant_routes_request(void *user) {
    return ((visit_t *)user)->request;
}

/* It is inside the site already, because its route is the site's. */
static void through_gate(request_t *request, bool passed) {
    if (passed)
        start(request);
    else
        site_leave(request->site);
}

bool tenant_routes_run(sites_t *sites, gate_t *gate, request_t *request) {
    exchange_t *exchange = request->exchange;
    site_t *site = sites_find(sites, request->settings->slug);
    if (!site || !site->routes) return false;
    if (router_match(routes_router(site->routes), exchange->method_text, exchange->path,
            &exchange->arena, &request->match) != 0 ||
        !request->match.route)
        return false;
    gate_find(gate, request);
    if (site->inside >= SITE_REQUESTS_MAX || site_rests(site)) {
        reply_problem(request, ERR_BUSY, NULL);
        return true;
    }
    site_enter(site);
    request->site = site;
    gate_enter(gate, request, through_gate);
    return true;
}
