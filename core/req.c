/* req.c: answers a handler's reads of req.<field> from the exchange, and keeps what was asked for in the table. */
#include "req.h"
#include "base/err.h"
#include "lua/json.h"
#include "reply.h"
#include "services.h"
#include "traffic.h"
#include <strings.h>

#define META "perigee.req"
#define QUERY_MAX 128

static request_t *find(lua_State *L, int index) {
    lua_rawgeti(L, index, 0);
    double handle = lua_tonumber(L, -1);
    lua_pop(L, 1);
    const traffic_t *traffic = app_of(L)->services->traffic;
    return traffic ? traffic_find(traffic, handle) : NULL;
}

static void push_span(lua_State *L, span_t span) {
    lua_pushlstring(L, span.ptr, span.len);
}

static void get_method(lua_State *L, request_t *r) {
    push_span(L, r->exchange->method_text);
}
static void get_path(lua_State *L, request_t *r) {
    push_span(L, r->exchange->path);
}
static void get_host(lua_State *L, request_t *r) {
    push_span(L, r->exchange->host);
}
static void get_body(lua_State *L, request_t *r) {
    push_span(L, r->exchange->body);
}
static void get_request_id(lua_State *L, request_t *r) {
    lua_pushstring(L, r->id);
}
static void get_trace_id(lua_State *L, request_t *r) {
    lua_pushstring(L, r->trace);
}
static void get_deadline(lua_State *L, request_t *r) {
    lua_pushnumber(L, (double)r->deadline_ms);
}
static void get_role(lua_State *L, request_t *r) {
    lua_pushstring(L, r->role);
}

static void get_now_ms(lua_State *L, request_t *r) {
    (void)r;
    lua_pushnumber(L, (double)clock_wall_ms());
}

static void get_route(lua_State *L, request_t *r) {
    push_span(L, r->pattern);
}

/* The session as the gate found it; nil when there is none, or the route neither reads sessions nor has a limit. */
static void get_session_data(lua_State *L, request_t *r) {
    char why[160];
    if (!r->session_data.len || json_decode(L, r->session_data, why, sizeof why) != 0)
        lua_pushnil(L);
}

static void get_session(lua_State *L, request_t *r) {
    if (r->session.len)
        push_span(L, r->session);
    else
        lua_pushnil(L);
}

void req_push_params(lua_State *L, request_t *r) {
    lua_createtable(L, 0, r->match.nparams);
    for (int i = 0; i < r->match.nparams; i++) {
        push_span(L, r->match.names[i]);
        push_span(L, r->match.values[i]);
        lua_rawset(L, -3);
    }
}

/* Appends to what is there already: a repeated name becomes a list. Value at the top, key below, table at index t.
   */
static void add_value(lua_State *L, int t) {
    lua_pushvalue(L, -2);
    lua_rawget(L, t);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_rawset(L, t);
        return;
    }
    if (!lua_istable(L, -1)) {
        lua_createtable(L, 2, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
        lua_pushvalue(L, -3);
        lua_pushvalue(L, -2);
        lua_rawset(L, t);
    }
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
    lua_pop(L, 2);
}

/* Form decoding: '+' is a space. */
static void push_decoded(lua_State *L, request_t *r, span_t text) {
    char *plain = arena_dup(&r->exchange->arena, text.ptr, text.len);
    if (!plain) luaL_error(L, "out of memory");
    for (size_t i = 0; i < text.len; i++)
        if (plain[i] == '+') plain[i] = ' ';
    lua_pushlstring(L, plain, span_unescape((span_t){plain, text.len}, plain));
}

void req_push_query(lua_State *L, request_t *r) {
    span_t query = r->exchange->query;
    lua_newtable(L);
    int table = lua_gettop(L);
    for (int count = 0; query.len && count < QUERY_MAX; count++) {
        span_t value = span_cut(&query, '&');
        if (!value.len) continue;
        span_t name = span_cut(&value, '=');
        push_decoded(L, r, name);
        push_decoded(L, r, value);
        add_value(L, table);
    }
}

static void push_lower(lua_State *L, span_t name) {
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        luaL_addchar(&out, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
    }
    luaL_pushresult(&out);
}

static void get_headers(lua_State *L, request_t *r) {
    lua_createtable(L, 0, (int)r->exchange->nheaders);
    int table = lua_gettop(L);
    for (size_t i = 0; i < r->exchange->nheaders; i++) {
        push_lower(L, r->exchange->headers[i].name);
        push_span(L, r->exchange->headers[i].value);
        add_value(L, table);
    }
}

static void get_client(lua_State *L, request_t *r) {
    lua_createtable(L, 0, 2);
    push_span(L, r->address);
    lua_setfield(L, -2, "address");
    push_span(L, r->scheme);
    lua_setfield(L, -2, "scheme");
}

static void get_tenant(lua_State *L, request_t *r) {
    if (r->settings)
        value_push(L, &r->settings->document);
    else
        lua_pushnil(L);
}

/* For those who need no more of the tenant: its document is a large table. */
static void get_tenant_id(lua_State *L, request_t *r) {
    push_span(L, r->settings ? r->settings->id : (span_t){"", 0});
}

/* req:header(name): one header's value, the first of that name, without a table of them all. */
static int l_header(lua_State *L) {
    request_t *request = req_find(L, 1);
    span_t name, value = {NULL, 0};
    name.ptr = luaL_checklstring(L, 2, &name.len);
    if (request) value = exchange_header(request->exchange, name);
    if (value.ptr)
        push_span(L, value);
    else
        lua_pushnil(L);
    return 1;
}

static void get_header(lua_State *L, request_t *r) {
    (void)r;
    lua_pushcfunction(L, l_header);
}

/* Raises an answer, as problem.raise in Lua does: the server sends it. */
static void raise_problem(lua_State *L, request_t *r, int err, const char *detail) {
    reply_push_problem(L, r, err, detail);
    lua_error(L);
}

static bool is_json(span_t type) {
    span_t essence = span_trim(span_cut(&type, ';'));
    if (span_ieq(essence, SPAN("application/json"))) return true;
    return essence.len > 5 && span_ieq((span_t){essence.ptr + essence.len - 5, 5}, SPAN("+json"));
}

static void get_json(lua_State *L, request_t *r) {
    span_t type = exchange_header(r->exchange, SPAN("content-type"));
    if (type.ptr && !is_json(type))
        raise_problem(
            L, r, ERR_UNSUPPORTED_TYPE, "the body's Content-Type must be application/json");
    if (!r->exchange->body.len) raise_problem(L, r, ERR_BAD_JSON, "a JSON body is required");
    char why[160];
    int err = json_decode(L, r->exchange->body, why, sizeof why);
    if (err) raise_problem(L, r, err, why);
}

typedef struct field {
    const char *name;
    void (*get)(lua_State *L, request_t *request);
} field_t;

static const field_t FIELDS[] = {
    {"body", get_body},
    {"client", get_client},
    {"deadline", get_deadline},
    {"header", get_header},
    {"headers", get_headers},
    {"host", get_host},
    {"json", get_json},
    {"method", get_method},
    {"now_ms", get_now_ms},
    {"params", req_push_params},
    {"path", get_path},
    {"query", req_push_query},
    {"request_id", get_request_id},
    {"role", get_role},
    {"route", get_route},
    {"session", get_session},
    {"session_data", get_session_data},
    {"tenant", get_tenant},
    {"tenant_id", get_tenant_id},
    {"trace_id", get_trace_id},
};

/* The upvalue maps names to indexes in FIELDS, so that a read costs one table lookup. */
static int index_field(lua_State *L) {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (lua_isnil(L, -1)) return 1;
    size_t at = (size_t)lua_tonumber(L, -1);
    luaL_checktype(L, 1, LUA_TTABLE);
    request_t *request = find(L, 1);
    if (!request) return 0; /* it has ended */
    FIELDS[at].get(L, request);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

void req_open(lua_State *L) {
    luaL_newmetatable(L, META);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        lua_pushnumber(L, (double)i);
        lua_setfield(L, -2, FIELDS[i].name);
    }
    lua_pushcclosure(L, index_field, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

request_t *req_find(lua_State *L, int index) {
    if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return NULL;
    luaL_getmetatable(L, META);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same ? find(L, index) : NULL;
}

void req_push(lua_State *L, request_t *request) {
    lua_createtable(L, 1, 4);
    lua_pushnumber(L, request->handle);
    lua_rawseti(L, -2, 0);
    luaL_getmetatable(L, META);
    lua_setmetatable(L, -2);
}
