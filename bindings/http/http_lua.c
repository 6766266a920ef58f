/* http_lua.c: http.request, http.get and http.post, which wait for the answer. */
#include "http/http_lua.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/err.h"
#include "lua/await.h"

#define TIMEOUT_MS 10000
#define TIMEOUT_MOST_MS 120000
#define BYTES ((size_t)1024 * 1024)
#define BYTES_MOST ((size_t)64 * 1024 * 1024)
#define HEADERS_MOST 100

typedef struct op {
    await_t await;
    fetch_t fetch;
    arena_t arena; /* copies of the script's strings, which may be collected meanwhile */
} op_t;

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static void on_done(fetch_t *fetch) {
    op_t *op = LIST_OWNER(fetch, op_t, fetch);
    if (fetch->err)
        await_fail(&op->await, fetch->err, fetch->detail);
    else
        await_finish(&op->await);
}

/* The header with this name joins the one before it; cookies cannot be joined by commas and are a list always. */
static void push_header(lua_State *L, int table, span_t name, span_t value) {
    bool cookie = span_eq(name, SPAN("set-cookie"));
    lua_pushlstring(L, name.ptr, name.len);
    lua_pushvalue(L, -1);
    lua_rawget(L, table);
    if (cookie) {
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_newtable(L);
        }
        lua_pushlstring(L, value.ptr, value.len);
        lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
    } else if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, value.ptr, value.len);
    } else {
        lua_pushliteral(L, ", ");
        lua_pushlstring(L, value.ptr, value.len);
        lua_concat(L, 3);
    }
    lua_rawset(L, table);
}

static int push_answer(await_t *await, lua_State *L) {
    const fetch_t *fetch = &op_of(await)->fetch;
    span_t name, value;
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, fetch->status);
    lua_setfield(L, -2, "status");
    lua_newtable(L);
    int table = lua_gettop(L);
    for (size_t at = 0; fetch_header_next(fetch, &at, &name, &value);)
        push_header(L, table, name, value);
    lua_setfield(L, -2, "headers");
    lua_pushlstring(L, fetch->answer.ptr ? fetch->answer.ptr : "", fetch->answer.len);
    lua_setfield(L, -2, "body");
    return 1;
}

static void cancel(await_t *await) {
    client_cancel(&op_of(await)->fetch);
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    fetch_clear(&op->fetch);
    arena_destroy(&op->arena);
    free(op);
}

static const await_ops_t REQUEST = {push_answer, cancel, release, "http.request"};

/* What a request consists of, and the type that each must have. */
typedef enum { URL, METHOD, HEADERS, BODY, TIMEOUT, LIMIT, FOLLOW, PRIVATE, FIELDS } field_t;
static const struct {
    const char *name;
    int type; /* LUA_TNONE: checked apart */
} fields[FIELDS] = {{"url", LUA_TSTRING}, {"method", LUA_TSTRING}, {"headers", LUA_TTABLE},
    {"body", LUA_TSTRING}, {"timeout_ms", LUA_TNUMBER}, {"max_bytes", LUA_TNUMBER},
    {"follow", LUA_TNONE}, {"private", LUA_TBOOLEAN}};

static void check_names(lua_State *L, int table) {
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        int i = 0;
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        while (i < FIELDS && strcmp(fields[i].name, name) != 0)
            i++;
        if (i == FIELDS) luaL_error(L, "http: a request has no field '%s'", name);
    }
}

/* Puts the options' values on the stack: URL at base + URL and so on; what an argument gave already stays. */
static void open_options(lua_State *L, int options, int base) {
    if (lua_isnoneornil(L, options)) return;
    luaL_checktype(L, options, LUA_TTABLE);
    check_names(L, options);
    for (int i = 0; i < FIELDS; i++) {
        lua_pushstring(L, fields[i].name);
        lua_rawget(L, options);
        if (lua_isnil(L, base + i))
            lua_replace(L, base + i);
        else
            lua_pop(L, 1);
    }
}

static void check_number(lua_State *L, int index, const char *name, double most) {
    double number = lua_isnil(L, index) ? 1 : lua_tonumber(L, index);
    if (!(number >= 1 && number <= most))
        luaL_error(L, "http: %s must be from 1 to %d", name, (int)most);
}

static void check_headers(lua_State *L, int headers) {
    int count = 0;
    if (lua_isnil(L, headers)) return;
    for (lua_pushnil(L); lua_next(L, headers); lua_pop(L, 1)) {
        bool text = lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER;
        if (lua_type(L, -2) != LUA_TSTRING || !text)
            luaL_error(L, "http: headers must map names to strings");
        if (++count > HEADERS_MOST) luaL_error(L, "http: more than %d headers", HEADERS_MOST);
    }
}

/* Raises for what is the script's mistake, before anything is acquired. */
static void check_options(lua_State *L, int base) {
    for (int i = 0; i < FIELDS; i++) {
        int type = lua_type(L, base + i);
        if (type == LUA_TNIL || fields[i].type == LUA_TNONE || type == fields[i].type) continue;
        luaL_error(L, "http: %s must be a %s, not a %s", fields[i].name,
            lua_typename(L, fields[i].type), lua_typename(L, type));
    }
    if (lua_isnil(L, base + URL)) luaL_error(L, "http: a request needs a url");
    int follow = lua_type(L, base + FOLLOW);
    if (follow != LUA_TNIL && follow != LUA_TNUMBER && follow != LUA_TBOOLEAN)
        luaL_error(L, "http: follow must be a boolean or a number of redirects");
    check_number(L, base + TIMEOUT, "timeout_ms", TIMEOUT_MOST_MS);
    check_number(L, base + LIMIT, "max_bytes", (double)BYTES_MOST);
    check_headers(L, base + HEADERS);
    if (lua_toboolean(L, base + PRIVATE) && !lua_toboolean(L, lua_upvalueindex(2)))
        luaL_error(L, "http: private addresses cannot be reached from here");
}

/* A NUL inside would hide the rest of the text from the checks: it becomes a control character that they refuse. */
static char *copy_text(op_t *op, lua_State *L, int index) {
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    char *copy = arena_dup(&op->arena, text, len);
    for (size_t i = 0; copy && i < len; i++)
        if (!copy[i]) copy[i] = '\x01';
    return copy;
}

/* Numbers are printed here, because lua_tolstring would allocate and could raise. */
static char *copy_value(op_t *op, lua_State *L, int index) {
    if (lua_type(L, index) == LUA_TSTRING) return copy_text(op, L, index);
    return arena_printf(&op->arena, "%.14g", lua_tonumber(L, index));
}

static int pack_headers(op_t *op, lua_State *L, int headers) {
    if (lua_isnil(L, headers)) return 0;
    fetch_header_t *list = arena_alloc(&op->arena, HEADERS_MOST * sizeof *list);
    if (!list) return ERR_NO_MEMORY;
    op->fetch.headers = list;
    for (lua_pushnil(L); lua_next(L, headers); lua_pop(L, 1)) {
        fetch_header_t *header = &list[op->fetch.nheaders++];
        header->name = copy_text(op, L, -2);
        header->value = copy_value(op, L, -1);
        if (!header->name || !header->value) return ERR_NO_MEMORY;
    }
    return 0;
}

static int pack_body(op_t *op, lua_State *L, int body) {
    if (lua_isnil(L, body)) return 0;
    size_t len;
    const char *text = lua_tolstring(L, body, &len);
    op->fetch.has_body = true;
    op->fetch.body = (span_t){arena_dup(&op->arena, text, len), len};
    return op->fetch.body.ptr ? 0 : ERR_NO_MEMORY;
}

/* Redirects are followed by default where a repetition changes nothing. */
static int redirects_of(lua_State *L, int follow, const char *method) {
    if (lua_type(L, follow) == LUA_TNUMBER) {
        double number = lua_tonumber(L, follow);
        return number >= 0 && number <= FETCH_REDIRECTS_MAX ? (int)number : -1;
    }
    bool safe = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    bool wanted = lua_isnil(L, follow) ? safe : lua_toboolean(L, follow);
    return wanted ? FETCH_REDIRECTS_MAX : 0;
}

/* Raises nothing. */
static int pack(op_t *op, lua_State *L, int base) {
    fetch_t *fetch = &op->fetch;
    fetch->url = copy_text(op, L, base + URL);
    fetch->method = lua_isnil(L, base + BODY) ? "GET" : "POST";
    if (!lua_isnil(L, base + METHOD)) fetch->method = copy_text(op, L, base + METHOD);
    if (!fetch->url || !fetch->method) return ERR_NO_MEMORY;
    fetch->redirects = redirects_of(L, base + FOLLOW, fetch->method);
    fetch->allow_private = lua_toboolean(L, base + PRIVATE);
    fetch->max_bytes = lua_isnil(L, base + LIMIT) ? BYTES : (size_t)lua_tonumber(L, base + LIMIT);
    fetch->done = on_done;
    int err = pack_headers(op, L, base + HEADERS);
    return err ? err : pack_body(op, L, base + BODY);
}

static int run(lua_State *L, int base) {
    client_t *client = lua_touserdata(L, lua_upvalueindex(1));
    check_options(L, base);
    op_t *op = calloc(1, sizeof *op);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    arena_create(&op->arena);
    if (pack(op, L, base) != 0) {
        release(&op->await);
        return await_push_error(L, ERR_NO_MEMORY, NULL);
    }
    uint64_t timeout =
        lua_isnil(L, base + TIMEOUT) ? TIMEOUT_MS : (uint64_t)lua_tonumber(L, base + TIMEOUT);
    await_begin(L, &op->await, &REQUEST, timeout);
    op->fetch.timeout_ms = await_left(&op->await);
    int err = client_start(client, &op->fetch);
    if (err) await_fail(&op->await, err, op->fetch.detail);
    return await_park(L, &op->await);
}

/* Makes room for the fields behind the arguments; returns where they begin. */
static int push_fields(lua_State *L, int arguments) {
    lua_settop(L, arguments);
    lua_settop(L, arguments + FIELDS);
    luaL_checkstack(L, 8, NULL);
    return arguments + 1;
}

static void set_field(lua_State *L, int base, field_t field, int argument) {
    lua_pushvalue(L, argument);
    lua_replace(L, base + (int)field);
}

static void set_method(lua_State *L, int base, const char *method) {
    lua_pushstring(L, method);
    lua_replace(L, base + METHOD);
}

/* http.request{url=, method=, headers=, body=, timeout_ms=, max_bytes=, follow=, private=} */
static int l_request(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int base = push_fields(L, 1);
    open_options(L, 1, base);
    return run(L, base);
}

/* http.get(url, options) */
static int l_get(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    int base = push_fields(L, 2);
    set_method(L, base, "GET");
    set_field(L, base, URL, 1);
    open_options(L, 2, base);
    return run(L, base);
}

/* http.post(url, body, options) */
static int l_post(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    luaL_checktype(L, 2, LUA_TSTRING);
    int base = push_fields(L, 3);
    set_method(L, base, "POST");
    set_field(L, base, URL, 1);
    set_field(L, base, BODY, 2);
    open_options(L, 3, base);
    return run(L, base);
}

typedef struct install {
    client_t *client;
    bool allow_private;
} install_t;

static int install(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"request", l_request}, {"get", l_get}, {"post", l_post}, {NULL, NULL}};
    const install_t *what = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_newtable(L);
    for (const luaL_Reg *function = functions; function->name; function++) {
        lua_pushlightuserdata(L, what->client);
        lua_pushboolean(L, what->allow_private);
        lua_pushcclosure(L, function->func, 2);
        lua_setfield(L, -2, function->name);
    }
    lua_setfield(L, -2, "http");
    return 0;
}

int http_lua_open(vm_t *vm, client_t *client, bool allow_private) {
    install_t what = {client, allow_private};
    return vm_protect(vm, install, &what, NULL, 0);
}
