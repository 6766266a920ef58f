/* reply.c: encodes answers into the traffic's buffers and hands them to the exchange. */
#include "reply.h"
#include "base/err.h"
#include "base/log.h"
#include "field.h"
#include "lua/json_encode.h"
#include "traffic.h"
#include <math.h>

#define PROBLEM_TYPE "application/problem+json"

void reply_write_problem(buf_t *out, int err, const char *detail, const char *id) {
    int status = err_status(err);
    buf_text(out, "{\"type\":\"about:blank\",\"title\":");
    buf_json(out, span_of(exchange_reason(status)));
    buf_printf(out, ",\"status\":%d,\"code\":", status);
    buf_json(out, span_of(err_name(err)));
    buf_text(out, ",\"detail\":");
    buf_json(out, span_of(detail ? detail : err_text(err)));
    if (*id) {
        buf_text(out, ",\"requestId\":");
        buf_json(out, span_of(id));
    }
    buf_char(out, '}');
}

void reply_put_common(const request_t *request, buf_t *headers) {
    field_put(headers, SPAN("X-Request-ID"), span_of(request->id));
    buf_span(headers, request->limits);
}

void reply_problem_with(request_t *request, int err, const char *detail, span_t headers) {
    buf_t *body = traffic_body(request->traffic), *lines = traffic_lines(request->traffic);
    answer_t answer = {.status = err_status(err)};
    reply_write_problem(body, err, detail, request->id);
    reply_put_common(request, lines);
    buf_span(lines, headers);
    if (answer.status == 401) buf_text(lines, "WWW-Authenticate: Bearer\r\n");
    if (answer.status == 503) buf_text(lines, "Retry-After: 1\r\n");
    if (!lines->failed) answer.headers = buf_view(lines);
    if (!body->failed) {
        answer.type = SPAN(PROBLEM_TYPE);
        answer.body = buf_view(body);
    }
    exchange_answer(request->exchange, &answer);
}

void reply_problem(request_t *request, int err, const char *detail) {
    reply_problem_with(request, err, detail, (span_t){NULL, 0});
}

void reply_push_problem(lua_State *L, request_t *request, int err, const char *detail) {
    int status = err_status(err);
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "__answer");
    lua_pushinteger(L, status);
    lua_setfield(L, -2, "status");
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, PROBLEM_TYPE);
    lua_setfield(L, -2, "content-type");
    lua_setfield(L, -2, "headers");
    buf_t *body = traffic_body(request->traffic);
    reply_write_problem(body, err, detail, request->id);
    if (body->failed) luaL_error(L, "out of memory");
    lua_pushlstring(L, body->ptr, body->len);
    lua_setfield(L, -2, "body");
}

void reply_failure(request_t *request, int err, const char *what) {
    buf_t *line = log_begin(LOG_ERROR, "handler_failed");
    if (line) {
        buf_text(line, ",\"requestId\":");
        buf_json(line, span_of(request->id));
        buf_text(line, ",\"error\":");
        buf_json(line, span_of(what));
        log_end();
    }
    reply_problem(request, err, NULL);
}

/* What the protected part below reads and fills. */
typedef struct replying {
    request_t *request;
    lua_State *from; /* where the value lies */
    int index;       /* 0 for nil */
    bool raised;     /* only an answer counts */
    bool taken;
    int status;
    span_t type;
    buf_t *body, *lines;
} replying_t;

static span_t to_span(lua_State *L, int index) {
    span_t span;
    span.ptr = lua_tolstring(L, index, &span.len);
    return span;
}

static void raw_field(lua_State *L, int table, const char *name) {
    lua_pushstring(L, name);
    lua_rawget(L, table);
}

static span_t keep(lua_State *L, replying_t *r, span_t text) {
    char *copy = arena_dup(&r->request->exchange->arena, text.ptr, text.len);
    if (!copy) luaL_error(L, "out of memory");
    return (span_t){copy, text.len};
}

/* The value is on top. */
static void put_header(lua_State *L, replying_t *r, span_t name) {
    span_t value = to_span(L, -1);
    const char *wrong = value.ptr ? field_refusal(name, value) : "is not text";
    if (wrong) luaL_error(L, "the header %s %s", name.ptr, wrong);
    if (span_ieq(name, SPAN("content-type")))
        r->type = keep(L, r, value);
    else
        field_put(r->lines, name, value);
}

/* One text, or a list of them for Set-Cookie and the like. The value is on top. */
static void put_header_values(lua_State *L, replying_t *r, span_t name) {
    if (!lua_istable(L, -1)) {
        put_header(L, r, name);
        return;
    }
    size_t count = lua_objlen(L, -1);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, (int)i);
        put_header(L, r, name);
        lua_pop(L, 1);
    }
}

static void put_headers(lua_State *L, replying_t *r) {
    raw_field(L, 1, "headers");
    if (!lua_isnil(L, -1) && !lua_istable(L, -1))
        luaL_error(L, "the answer's headers are no table");
    if (lua_istable(L, -1)) {
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "a header's name is not text");
            put_header_values(L, r, to_span(L, -2));
        }
    }
    lua_pop(L, 1);
}

/* The value is on top. */
static void put_json(lua_State *L, replying_t *r) {
    char why[200];
    if (!r->type.len) r->type = SPAN("application/json");
    if (json_encode(L, lua_gettop(L), r->body, why, sizeof why) != 0)
        luaL_error(L, "the answer is not JSON: %s", why);
}

/* Scripts do not know the request's id where they raise a problem. The problem's table is on top, its JSON the
   body. */
static void add_request_id(lua_State *L, replying_t *r) {
    buf_t *body = r->body;
    if (!lua_istable(L, -1) || body->len < 2 || body->ptr[body->len - 1] != '}') return;
    raw_field(L, lua_gettop(L), "requestId");
    bool there = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (there) return;
    body->len--;
    buf_text(body, body->len > 1 ? ",\"requestId\":" : "\"requestId\":");
    buf_json(body, span_of(r->request->id));
    buf_char(body, '}');
}

static int read_status(lua_State *L) {
    raw_field(L, 1, "status");
    double status = lua_isnil(L, -1) ? 200 : lua_tonumber(L, -1);
    lua_pop(L, 1);
    if (!(status >= 200 && status <= 599) || status != floor(status))
        luaL_error(L, "the answer's status is not a number from 200 to 599");
    return (int)status;
}

static void put_text(lua_State *L, replying_t *r) {
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "the answer's body is not text");
    if (!r->type.len) r->type = SPAN("text/plain; charset=utf-8");
    buf_span(r->body, to_span(L, -1));
}

static void read_answer(lua_State *L, replying_t *r) {
    r->status = read_status(L);
    put_headers(L, r);
    raw_field(L, 1, "json");
    if (!lua_isnil(L, -1)) {
        put_json(L, r);
        if (span_ieq(r->type, SPAN(PROBLEM_TYPE))) add_request_id(L, r);
        return;
    }
    raw_field(L, 1, "body");
    if (!lua_isnil(L, -1)) put_text(L, r);
}

/* The value is at 1 and on top. */
static bool is_answer(lua_State *L) {
    if (!lua_istable(L, 1)) return false;
    raw_field(L, 1, "__answer");
    bool answer = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return answer;
}

static void refuse_kind(lua_State *L, const request_t *request) {
    span_t method = request->exchange->method_text;
    lua_pushlstring(L, method.ptr, method.len);
    lua_pushlstring(L, request->pattern.ptr, request->pattern.len);
    luaL_error(L, "the handler of %s %s returned a %s", lua_tostring(L, -2), lua_tostring(L, -1),
        luaL_typename(L, 1));
}

static int read_value(lua_State *L, void *data) {
    replying_t *r = data;
    luaL_checkstack(L, 20, "an answer");
    if (r->index)
        lua_pushvalue(r->from, r->index);
    else
        lua_pushnil(r->from);
    lua_xmove(r->from, L, 1);
    if (is_answer(L))
        read_answer(L, r);
    else if (r->raised)
        r->taken = false;
    else if (lua_isnil(L, 1))
        r->status = 204;
    else if (lua_type(L, 1) == LUA_TSTRING)
        put_text(L, r);
    else if (lua_istable(L, 1))
        put_json(L, r);
    else
        refuse_kind(L, r->request);
    return 0;
}

static void answer_with(const replying_t *r) {
    answer_t answer = {.status = r->status,
        .type = r->type,
        .headers = buf_view(r->lines),
        .body = buf_view(r->body)};
    exchange_answer(r->request->exchange, &answer);
}

/* On the VM's main stack: behind an error the coroutine's own may be full. False when the value does not count. */
static bool reply(replying_t *r) {
    lua_State *L = vm_of(r->from)->L;
    int top = lua_gettop(L);
    r->taken = true;
    r->status = 200;
    r->body = traffic_body(r->request->traffic);
    r->lines = traffic_lines(r->request->traffic);
    reply_put_common(r->request, r->lines);
    int status = vm_call(L, read_value, r);
    if (status == LUA_ERRMEM || r->body->failed || r->lines->failed)
        reply_problem(r->request, ERR_NO_MEMORY, NULL);
    else if (status != 0)
        reply_failure(r->request, ERR_INTERNAL,
            lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is not text");
    else if (r->taken)
        answer_with(r);
    lua_settop(L, top);
    return r->taken;
}

void reply_value(request_t *request, lua_State *L, int index) {
    reply(&(replying_t){.request = request, .from = L, .index = index});
}

bool reply_raised(request_t *request, lua_State *L, int index) {
    return reply(&(replying_t){.request = request, .from = L, .index = index, .raised = true});
}
