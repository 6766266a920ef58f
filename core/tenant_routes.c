/* tenant_routes.c: hands a tenant's script the request and the shop, and turns the plain data it returns into an
   answer. */
#include "tenant_routes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "field.h"
#include "lua/value.h"
#include "reply.h"
#include "req.h"
#include "shop.h"
#include "tenant/reserved.h"
#include "traffic.h"

#define HEADERS_MOST 8192 /* bytes; what proxies and browsers take */

static const value_limits_t LIMITS = {.depth = 16, .nodes = 50000, .bytes = 1024 * 1024};

/* What a tenant's script may read of the head; never cookies or keys. */
static const char *const HEADERS[] = {
    "accept", "accept-language", "content-type", "referer", "user-agent", NULL};

/* A request inside its tenant's routes; in its arena. */
struct page {
    request_t *request;
    site_t *site;
    value_t json;
    bool has_json;
    bool starting;     /* routes_start is being charged as a whole */
    uint64_t began_ns; /* of the stretch that runs */
};

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
    page_t *page = data;
    request_t *request = page->request;
    lua_createtable(L, 0, 7);
    set_text(L, "method", request->exchange->method_text);
    set_text(L, "path", request->exchange->path);
    push_headers(L, request->exchange);
    req_push_params(L, request);
    lua_setfield(L, -2, "params");
    req_push_query(L, request);
    lua_setfield(L, -2, "query");
    if (page->has_json) {
        value_push(L, &page->json);
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

static void fail(page_t *page, const sandbox_fault_t *fault) {
    if (site_may_log(page->site)) log_fault(page->request, fault);
    reply_problem(page->request, ERR_INTERNAL, "the shop's own code for this page failed");
}

static bool is_budget(int err) {
    return err == ERR_BUDGET_TIME || err == ERR_BUDGET_INSTRUCTIONS || err == ERR_BUDGET_MEMORY;
}

static const char *refuse_header(arena_t *arena, span_t name, const char *why) {
    char text[200];
    int len = (int)(name.len < 80 ? name.len : 80);
    snprintf(text, sizeof text, "the header %.*s %s", len, name.ptr, why);
    const char *copy = arena_dup(arena, text, strlen(text) + 1);
    return copy ? copy : "a header is not one that can be sent";
}

static const char *put_headers(const value_t *headers, arena_t *arena, buf_t *lines, span_t *type) {
    if (!headers) return NULL;
    if (headers->kind == VALUE_LIST && headers->list.count == 0) return NULL;
    if (headers->kind != VALUE_TABLE) return "headers is not a table";
    for (size_t i = 0; i < headers->table.count; i++) {
        span_t name = headers->table.pairs[i].key;
        const value_t *value = headers->table.pairs[i].value;
        if (value->kind != VALUE_STRING) return refuse_header(arena, name, "is not a text");
        const char *why = field_refusal(name, value->string);
        /* Sessions are the platform's. */
        if (!why && span_ieq(name, SPAN("set-cookie"))) why = "belongs to the platform";
        if (why) return refuse_header(arena, name, why);
        if (span_ieq(name, SPAN("content-type")))
            *type = value->string;
        else
            field_put(lines, name, value->string);
    }
    return lines->len > HEADERS_MOST ? "the headers are too large" : NULL;
}

static void put_body(const value_t *body, buf_t *out, span_t *type) {
    if (!body || body->kind == VALUE_NIL) return;
    if (body->kind == VALUE_STRING) {
        if (!type->len) *type = SPAN("text/plain; charset=utf-8");
        buf_span(out, body->string);
    } else {
        if (!type->len) *type = SPAN("application/json");
        value_json(out, body);
    }
}

/* What a page returns without shop.answer. A bare number or boolean would be JSON, but is mostly a mistake, such as a
   status meant for shop.answer. */
static const char *put_plain(const value_t *value, buf_t *out, span_t *type) {
    if (value->kind == VALUE_BOOL) return "the page returned a boolean";
    if (value->kind == VALUE_INT || value->kind == VALUE_NUMBER)
        return "the page returned a number";
    put_body(value, out, type);
    return NULL;
}

static const char *read_status(const value_t *status, int *out) {
    *out = 200;
    if (!status || status->kind == VALUE_NIL) return NULL;
    if (status->kind != VALUE_INT) return "status is not a whole number";
    if (status->integer < 200 || status->integer > 599) return "status is not from 200 to 599";
    *out = (int)status->integer;
    return NULL;
}

static bool is_answer(const value_t *value) {
    const value_t *mark = value_field(value, "__answer");
    return mark && mark->kind == VALUE_BOOL && mark->boolean;
}

static const char *read_answer(
    const value_t *value, arena_t *arena, buf_t *lines, buf_t *body, answer_t *answer) {
    const char *wrong = read_status(value_field(value, "status"), &answer->status);
    if (!wrong) wrong = put_headers(value_field(value, "headers"), arena, lines, &answer->type);
    if (!wrong) put_body(value_field(value, "body"), body, &answer->type);
    return wrong;
}

/* NULL, or what is wrong with the answer. */
static const char *answer_with(request_t *request, const value_t *value) {
    buf_t *body = traffic_body(request->traffic), *lines = traffic_lines(request->traffic);
    answer_t answer = {.status = value->kind == VALUE_NIL ? 204 : 200};
    const char *wrong = NULL;
    reply_put_common(request, lines);
    if (is_answer(value))
        wrong = read_answer(value, &request->exchange->arena, lines, body, &answer);
    else
        wrong = put_plain(value, body, &answer.type);
    if (wrong) return wrong;
    if (lines->failed || body->failed) {
        reply_problem(request, ERR_NO_MEMORY, NULL);
        return NULL;
    }
    answer.headers = buf_view(lines);
    answer.body = buf_view(body);
    exchange_answer(request->exchange, &answer);
    return NULL;
}

static void answer_result(page_t *page, lua_State *L, int nresults) {
    request_t *request = page->request;
    sandbox_fault_t fault = {.err = ERR_BAD_RESULT, .file = "routes.lua"};
    value_t value = {.kind = VALUE_NIL};
    int first = lua_gettop(L) - nresults + 1;
    if (nresults && value_pack(L, first, &request->exchange->arena, &LIMITS, &value, fault.text,
                        sizeof fault.text) != 0) {
        fail(page, &fault);
        return;
    }
    const char *wrong = answer_with(request, &value);
    if (!wrong) return;
    snprintf(fault.text, sizeof fault.text, "%s", wrong);
    fail(page, &fault);
}

/* The edition may have been dropped meanwhile: then nobody is charged. */
static tenant_t *tenant_of(const page_t *page) {
    const request_t *request = page->request;
    return tenants_find(request->app->services->tenants, request->settings->slug);
}

static void begin_charge(page_t *page) {
    tenant_t *tenant = tenant_of(page);
    page->began_ns = clock_mono_ns();
    if (tenant) tenant_enter(tenant);
}

static void end_charge(page_t *page) {
    tenant_t *tenant = tenant_of(page);
    if (tenant) tenant_leave(tenant, clock_mono_ns() - page->began_ns);
}

static page_t *page_of(const task_t *task) {
    return ((request_t *)task_user(task))->page;
}

static void on_enter(task_t *task) {
    page_t *page = page_of(task);
    if (!page->starting) begin_charge(page);
}

static void on_leave(task_t *task) {
    page_t *page = page_of(task);
    if (!page->starting) end_charge(page);
}

static void on_done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    request_t *request = task_user(task);
    page_t *page = request->page;
    sandbox_fault_t fault = {0};
    request->task = NULL;
    request->waited_ns = task_waited_ns(task, "");
    if (end == TASK_OK) {
        answer_result(page, L, nresults);
    } else if (end == TASK_TIMEOUT) {
        reply_problem(request, ERR_TIMEOUT, NULL);
    } else if (end != TASK_CANCELLED) {
        sandbox_task_fault(task, error, &fault);
        if (is_budget(fault.err)) site_killed(page->site);
        fail(page, &fault);
    }
    site_leave(page->site);
}

/* The body as plain data; what is not JSON is simply not there. */
static void read_json(page_t *page) {
    exchange_t *exchange = page->request->exchange;
    char why[120];
    page->has_json = exchange->body.len && value_parse(exchange->body, &exchange->arena, &LIMITS,
                                               false, &page->json, why, sizeof why) == 0;
}

static void start_page(page_t *page) {
    static const task_ops_t OPS = {.done = on_done, .enter = on_enter, .leave = on_leave};
    request_t *request = page->request;
    site_t *site = page->site;
    uint64_t latest = loop_now(request->exchange->loop) + SHOP_MS;
    task_options_t options = {.ops = &OPS,
        .user = request,
        .request_id = request->id,
        .budget_waits = SHOP_CALLS_MAX,
        .deadline_ms = latest < request->deadline_ms ? latest : request->deadline_ms};
    sandbox_fault_t fault = {0};
    bool alive;
    task_t *task = routes_start(
        site->routes, request->match.route, &options, push_arguments, page, &alive, &fault);
    if (alive) request->task = task;
    if (task) return;
    if (is_budget(fault.err)) site_killed(site);
    fail(page, &fault);
    site_leave(site);
}

static void start(page_t *page) {
    read_json(page);
    page->starting = true;
    begin_charge(page);
    start_page(page);
    end_charge(page);
    page->starting = false;
}

/* What the tenant would have answered is not known, so this is no 404. */
static void refuse_closed(site_t *site, request_t *request) {
    if (site_may_log(site)) log_fault(request, &site->fault);
    reply_problem(request, ERR_UNAVAILABLE, "the shop's own pages are not available");
}

static bool is_full(const site_t *site, const request_t *request) {
    tenant_t *tenant = tenants_find(request->app->services->tenants, request->settings->slug);
    return site->inside >= SITE_REQUESTS_MAX || site_rests(site) || (tenant && tenant_wait(tenant));
}

static void through_gate(request_t *request, bool passed) {
    if (passed)
        start(request->page);
    else
        site_leave(request->page->site);
}

static void enter(gate_t *gate, request_t *request, site_t *site) {
    gate_find(gate, request);
    if (is_full(site, request)) {
        reply_problem(request, ERR_BUSY, NULL);
        return;
    }
    request->page = arena_zalloc(&request->exchange->arena, sizeof *request->page);
    if (!request->page) {
        reply_problem(request, ERR_NO_MEMORY, NULL);
        return;
    }
    *request->page = (page_t){.request = request, .site = site};
    site_enter(site);
    gate_enter(gate, request, through_gate);
}

bool tenant_routes_run(sites_t *sites, gate_t *gate, request_t *request) {
    /* Not even by a route such as "/:any/:thing". */
    if (path_reserved(request->exchange->path)) return false;
    site_t *site = sites_find(sites, request->settings->slug);
    if (!site || (!site->routes && !site->fault.err)) return false;
    int err = site->routes ? request_match(request, routes_router(site->routes)) : 0;
    if (err)
        reply_problem(request, err, NULL);
    else if (!site->routes)
        refuse_closed(site, request);
    else if (!request->match.route)
        return false;
    else
        enter(gate, request, site);
    return true;
}
