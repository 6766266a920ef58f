/* reply.c: encodes answers into the server's buffers and hands them to the exchange. */
#include "reply.h"
#include "base/err.h"
#include "base/log.h"
#include "lua/json.h"
#include "server.h"
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
    buf_text(headers, "X-Request-ID: ");
    buf_text(headers, request->id);
    buf_text(headers, "\r\n");
    buf_span(headers, request->limits);
}

void reply_problem_with(request_t *request, int err, const char *detail, span_t headers) {
    buf_t *body = server_body(request->server), *lines = server_lines(request->server);
    reply_write_problem(body, err, detail, request->id);
    reply_put_common(request, lines);
    buf_span(lines, headers);
    if (err_status(err) == 503) buf_text(lines, "Retry-After: 1\r\n");
    answer_t answer = {.status = err_status(err),
        .type = SPAN(PROBLEM_TYPE),
        .headers = buf_view(lines),
        .body = buf_view(body)};
    exchange_answer(request->exchange, &answer);
}

void reply_problem(request_t *request, int err, const char *detail) {
    reply_problem_with(request, err, detail, (span_t){NULL, 0});
}

/* What the protected part below reads and fills. */
typedef struct replying {
    request_t *request;
    int index;
    int status;
    span_t type;
    buf_t *body, *lines;
    bool failed;
    char why[200];
} replying_t;

static bool clean(span_t text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\r' || text.ptr[i] == '\n' || text.ptr[i] == '\0') return false;
    return true;
}

static span_t to_span(lua_State *L, int index) {
    span_t span;
    span.ptr = lua_tolstring(L, index, &span.len);
    return span;
}

static void put_header(lua_State *L, replying_t *r, span_t name) {
    span_t value = to_span(L, -1);
    if (!value.ptr || !clean(name) || !clean(value))
        luaL_error(L, "the header %s has a value that cannot be sent", name.ptr);
    if (span_ieq(name, SPAN("content-type"))) {
        char *copy = arena_dup(&r->request->exchange->arena, value.ptr, value.len);
        if (!copy) luaL_error(L, "out of memory");
        r->type = (span_t){copy, value.len};
        return;
    }
    buf_span(r->lines, name);
    buf_text(r->lines, ": ");
    buf_span(r->lines, value);
    buf_text(r->lines, "\r\n");
}

static void put_headers(lua_State *L, replying_t *r) {
    lua_getfield(L, r->index, "headers");
    if (lua_istable(L, -1)) {
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "a header's name is not text");
            span_t name = to_span(L, -2);
            if (!lua_istable(L, -1)) {
                put_header(L, r, name);
                continue;
            }
            for (size_t i = 1; i <= lua_objlen(L, -1);
                 i++) { /* Set-Cookie and the like, several times */
                lua_rawgeti(L, -1, (int)i);
                put_header(L, r, name);
                lua_pop(L, 1);
            }
        }
    }
    lua_pop(L, 1);
}

static void put_json(lua_State *L, replying_t *r, int index) {
    if (!r->type.len) r->type = SPAN("application/json");
    if (json_encode(L, index, r->body, r->why, sizeof r->why) != 0)
        luaL_error(L, "the answer is not JSON: %s", r->why);
}

/* A problem that a script built says which request it belongs to, too. The table is the script's own answer, made for
   this request. */
static void name_request(lua_State *L, const replying_t *r) {
    if (!lua_istable(L, -1) || !span_ieq(r->type, SPAN(PROBLEM_TYPE))) return;
    lua_pushliteral(L, "requestId");
    lua_pushstring(L, r->request->id);
    lua_rawset(L, -3);
}

static int read_status(lua_State *L, int index) {
    lua_getfield(L, index, "status");
    double status = lua_isnil(L, -1) ? 200 : lua_tonumber(L, -1);
    lua_pop(L, 1);
    if (!(status >= 200 && status <= 599) || status != floor(status))
        luaL_error(L, "the answer's status is not a number from 200 to 599");
    return (int)status;
}

static void read_answer(lua_State *L, replying_t *r) {
    r->status = read_status(L, r->index);
    put_headers(L, r);
    lua_getfield(L, r->index, "json");
    if (!lua_isnil(L, -1)) {
        name_request(L, r);
        put_json(L, r, lua_gettop(L));
        return;
    }
    lua_getfield(L, r->index, "body");
    if (lua_isnil(L, -1)) return;
    if (!r->type.len) r->type = SPAN("text/plain; charset=utf-8");
    buf_span(r->body, to_span(L, -1));
}

static bool is_answer(lua_State *L, int index) {
    lua_pushliteral(L, "__answer");
    lua_rawget(L, index);
    bool answer = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return answer;
}

static int read_value(lua_State *L) {
    replying_t *r = lua_touserdata(L, 2);
    r->index = 1;
    switch (lua_type(L, 1)) {
    case LUA_TNIL:
        r->status = 204;
        return 0;
    case LUA_TSTRING:
        r->type = SPAN("text/plain; charset=utf-8");
        buf_span(r->body, to_span(L, 1));
        return 0;
    case LUA_TTABLE:
        if (is_answer(L, 1))
            read_answer(L, r);
        else
            put_json(L, r, 1);
        return 0;
    default:
        return luaL_error(L, "a handler returned a %s", luaL_typename(L, 1));
    }
}

static void log_failure(request_t *request, const char *message) {
    buf_t *line = log_begin(LOG_ERROR, "handler_failed");
    if (!line) return;
    buf_text(line, ",\"requestId\":");
    buf_json(line, span_of(request->id));
    buf_text(line, ",\"error\":");
    buf_json(line, span_of(message ? message : "an error that is not text"));
    log_end();
}

void reply_value(request_t *request, lua_State *L, int index) {
    replying_t r = {.request = request,
        .status = 200,
        .body = server_body(request->server),
        .lines = server_lines(request->server)};
    reply_put_common(request, r.lines);
    lua_pushvalue(L, index);
    lua_pushcfunction(L, read_value);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, &r);
    if (lua_pcall(L, 2, 0, 0) != 0) {
        log_failure(request, lua_tostring(L, -1));
        lua_pop(L, 1);
        reply_problem(request, ERR_INTERNAL, NULL);
        return;
    }
    if (r.body->failed || r.lines->failed) {
        reply_problem(request, ERR_NO_MEMORY, NULL);
        return;
    }
    answer_t answer = {
        .status = r.status, .type = r.type, .headers = buf_view(r.lines), .body = buf_view(r.body)};
    exchange_answer(request->exchange, &answer);
}
