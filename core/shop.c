/* shop.c: carries a call of a tenant's script to the trusted service of the same name, as plain data both ways. */
#include "shop.h"
#include "base/err.h"
#include "base/log.h"
#include "lua/value.h"
#include "services.h"
#include <stdlib.h>

#define ARGS_MAX 4

static const value_limits_t LIMITS = {.depth = 12, .nodes = 20000, .bytes = 1024 * 1024};

/* One call on its way. The arena holds arguments and result. */
typedef struct call {
    await_t await;
    deferred_t start;
    arena_t arena;
    app_t *app;
    settings_t *settings;
    const char *name; /* "products.get" */
    span_t session;
    value_t args[ARGS_MAX];
    int nargs;
    task_t *task;
    value_t result;
    char text[200], error[32]; /* the service's nil, text, name */
} call_t;

static void release(await_t *await) {
    call_t *call = LIST_OWNER(await, call_t, await);
    app_unref(call->app);
    settings_unref(call->settings);
    arena_destroy(&call->arena);
    free(call);
}

static void cancel(await_t *await) {
    call_t *call = LIST_OWNER(await, call_t, await);
    if (call->task) {
        task_cancel(call->task); /* on_done finishes the await */
        return;
    }
    deferred_clear(&call->start);
    await_finish(await);
}

static int push_result(await_t *await, lua_State *L) {
    call_t *call = LIST_OWNER(await, call_t, await);
    if (!call->error[0]) {
        value_push(L, &call->result);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, call->text);
    lua_pushstring(L, call->error);
    return 3;
}

static const await_ops_t OPS = {
    .push = push_result, .cancel = cancel, .release = release, .name = "shop.call"};

static void set_error(call_t *call, const char *name, const char *text) {
    snprintf(call->error, sizeof call->error, "%s", name ? name : "internal");
    snprintf(call->text, sizeof call->text, "%s", text ? text : "the service failed");
}

static const char *text_at(lua_State *L, int index) {
    return lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
}

static void take_result(call_t *call, lua_State *L, int nresults) {
    int first = lua_gettop(L) - nresults + 1;
    char why[160];
    if (nresults == 0) return; /* nil */
    if (nresults >= 3 && lua_isnil(L, first))
        set_error(call, text_at(L, first + 2), text_at(L, first + 1));
    else if (value_pack(L, first, &call->arena, &LIMITS, &call->result, why, sizeof why) != 0)
        set_error(call, "internal", why);
}

typedef struct raised {
    call_t *call;
    lua_State *from; /* the error value is on top */
} raised_t;

/* problem.raise: what it says of the call is for the script to know. */
static int take_problem(lua_State *L, void *data) {
    raised_t *raised = data;
    luaL_checkstack(L, 8, "an error");
    lua_pushvalue(raised->from, -1);
    lua_xmove(raised->from, L, 1);
    if (!lua_istable(L, 1)) return 0;
    lua_pushliteral(L, "json");
    lua_rawget(L, 1);
    if (!lua_istable(L, 2)) return 0;
    lua_pushliteral(L, "code");
    lua_rawget(L, 2);
    lua_pushliteral(L, "detail");
    lua_rawget(L, 2);
    if (text_at(L, 3)) set_error(raised->call, text_at(L, 3), text_at(L, 4));
    return 0;
}

/* Any other error is the platform's own fault: it goes to the log, and the script learns only that it happened. */
static void log_failure(const call_t *call, const char *error) {
    buf_t *line = log_begin(LOG_ERROR, "shop_call_failed");
    if (!line) return;
    buf_text(line, ",\"tenant\":");
    buf_json(line, call->settings->slug);
    buf_text(line, ",\"call\":");
    buf_json(line, span_of(call->name));
    buf_text(line, ",\"error\":");
    buf_json(line, span_of(error));
    log_end();
}

static void take_error(call_t *call, lua_State *from, int nresults, const char *error) {
    raised_t raised = {call, from};
    lua_State *L = call->app->vm->L;
    int top = lua_gettop(L);
    if (nresults) vm_call(L, take_problem, &raised);
    lua_settop(L, top);
    if (call->error[0]) return;
    log_failure(call, error);
    set_error(call, "internal", NULL);
}

static void on_done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    call_t *call = task_user(task);
    call->task = NULL;
    if (end == TASK_OK)
        take_result(call, L, nresults);
    else if (end == TASK_ERROR)
        take_error(call, L, nresults, error);
    else
        set_error(call, end == TASK_TIMEOUT ? "timeout" : "internal", NULL);
    await_finish(&call->await);
}

/* The tenant comes from the request in C, and so do session and customer: a script cannot name another's. */
static int push_service(lua_State *L, void *data) {
    call_t *call = data;
    luaL_checkstack(L, ARGS_MAX + 8, "a call of shop");
    lua_rawgeti(L, LUA_REGISTRYINDEX, call->app->shop);
    lua_getfield(L, -1, call->name);
    if (!lua_isfunction(L, -1))
        return luaL_error(L, "main.lua: there is no tenant_shop[\"%s\"]", call->name);
    lua_remove(L, -2);
    value_push(L, &call->settings->document);
    if (call->session.len)
        lua_pushlstring(L, call->session.ptr, call->session.len);
    else
        lua_pushnil(L);
    for (int i = 0; i < call->nargs; i++)
        value_push(L, &call->args[i]);
    return 2 + call->nargs;
}

/* From the loop and not from inside the tenant's resume, whose time is being measured. */
static void on_start(deferred_t *deferred) {
    static const task_ops_t SERVICE = {.done = on_done};
    call_t *call = LIST_OWNER(deferred, call_t, start);
    loop_t *loop = call->app->services->loop;
    task_options_t options = {.vm = call->app->vm,
        .ops = &SERVICE,
        .user = call,
        .deadline_ms = loop_now(loop) + await_left(&call->await),
        .request_id = call->name};
    bool alive;
    task_t *task = task_start(&options, push_service, call, &alive);
    if (alive)
        call->task = task;
    else if (!task)
        await_fail(&call->await, ERR_NO_MEMORY, NULL);
}

static int pack_arguments(lua_State *L, call_t *call, char *why, size_t size) {
    call->nargs = lua_gettop(L) < ARGS_MAX ? lua_gettop(L) : ARGS_MAX;
    for (int i = 0; i < call->nargs; i++) {
        int err = value_pack(L, i + 1, &call->arena, &LIMITS, &call->args[i], why, size);
        if (err) return err;
    }
    return 0;
}

static call_t *call_new(request_t *request, const char *name) {
    call_t *call = calloc(1, sizeof *call);
    if (!call) return NULL;
    arena_create(&call->arena);
    call->app = app_ref(request->app);
    call->settings = settings_ref(request->settings);
    call->name = name;
    call->session.ptr = arena_dup(&call->arena, request->session.ptr, request->session.len);
    call->session.len = call->session.ptr ? request->session.len : 0;
    deferred_init(&call->start, on_start);
    return call;
}

/* Raises: a loop over calls has to be seen by who wrote it. */
static void count_call(lua_State *L, const task_t *task, const char *name) {
    if (!task || task_waits_left(task)) return;
    luaL_error(L, "at most %d calls of shop in one request (shop.%s)", SHOP_CALLS_MAX, name);
}

static int l_call(lua_State *L) {
    task_t *task = task_of(L);
    const char *name = lua_touserdata(L, lua_upvalueindex(1));
    char why[160];
    if (!task) return luaL_error(L, "shop is only there inside a request");
    count_call(L, task, name);
    call_t *call = call_new(task_user(task), name);
    if (!call) return luaL_error(L, "out of memory");
    if (pack_arguments(L, call, why, sizeof why) != 0) {
        release(&call->await);
        return luaL_error(L, "shop.%s: %s", name, why);
    }
    await_begin(L, &call->await, &OPS, SHOP_MS);
    loop_defer(call->app->services->loop, &call->start);
    return await_park(L, &call->await);
}

static int l_all(lua_State *L) {
    count_call(L, task_of(L), "all");
    return wait_all(L);
}

/* shop.answer{status, headers, body}: only marks the table; the answer is checked when the route returns it. */
static int l_answer(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_pushliteral(L, "__answer");
    lua_pushboolean(L, 1);
    lua_rawset(L, 1);
    return 1;
}

static int l_redirect(lua_State *L) {
    luaL_checkstring(L, 1);
    lua_createtable(L, 0, 3);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "__answer");
    lua_pushinteger(L, 302);
    lua_setfield(L, -2, "status");
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "location");
    lua_setfield(L, -2, "headers");
    return 1;
}

static void add_call(lua_State *L, const char *field, const char *service) {
    lua_pushlightuserdata(L, (void *)service);
    lua_pushcclosure(L, l_call, 1);
    lua_setfield(L, -2, field);
}

static void add_group(lua_State *L, const char *group, const char *const fields[][2]) {
    lua_newtable(L);
    for (size_t i = 0; fields[i][0]; i++)
        add_call(L, fields[i][0], fields[i][1]);
    lua_setfield(L, -2, group);
}

/* Built anew for each request: what one request writes into it, the next must not see. */
void shop_push(lua_State *L) {
    static const char *const PRODUCTS[][2] = {{"get", "products.get"},
        {"by_sku", "products.by_sku"}, {"find", "products.find"}, {"search", "products.search"},
        {NULL, NULL}};
    static const char *const CART[][2] = {{"get", "cart.get"}, {NULL, NULL}};
    static const char *const CACHE[][2] = {
        {"get", "cache.get"}, {"set", "cache.set"}, {NULL, NULL}};
    static const char *const ORDERS[][2] = {{"mine", "orders.mine"}, {NULL, NULL}};
    lua_newtable(L);
    add_group(L, "products", PRODUCTS);
    add_group(L, "cart", CART);
    add_group(L, "cache", CACHE);
    add_group(L, "orders", ORDERS);
    add_call(L, "config", "config");
    lua_pushcfunction(L, l_answer);
    lua_setfield(L, -2, "answer");
    lua_pushcfunction(L, l_redirect);
    lua_setfield(L, -2, "redirect");
    lua_pushcfunction(L, l_all);
    lua_setfield(L, -2, "all");
}
