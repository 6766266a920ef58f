/* cart.c: waits for a cart to be read or written in one step, and hands its fields to a script. */
#include "cart.h"
#include "base/arena.h"
#include "base/err.h"
#include "cart_step.h"
#include "detach.h"
#include "lua/await.h"
#include "lua/native.h"
#include <math.h>
#include <stdlib.h>

#define FIELDS_MOST 2000
#define VERSION_MOST 9007199254740992.0
#define TTL_MOST_S (366.0 * 86400)

typedef struct op {
    await_t await;
    const cache_ops_t *ops;
    cache_cart_load_t load;
    cache_cart_save_t save;
    arena_t arena; /* what was read; and while the save begins, the lists of what is written */
    cache_field_t *fields;
    size_t count;
} op_t;

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static op_t *op_new(const cache_ops_t *ops) {
    op_t *op = calloc(1, sizeof *op);
    if (!op) return NULL;
    op->ops = ops;
    op->load.data = op->save.data = op;
    arena_create(&op->arena);
    return op;
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    arena_destroy(&op->arena);
    free(op);
}

static void cancel(await_t *await) {
    op_t *op = op_of(await);
    op->ops->cart_load_cancel(&op->load);
    op->ops->cart_save_cancel(&op->save);
    await_finish(await);
}

static void push_span(lua_State *L, span_t text) {
    lua_pushlstring(L, text.len ? text.ptr : "", text.len);
}

static int push_loaded(await_t *await, lua_State *L) {
    const op_t *op = op_of(await);
    if (op->load.version == 0) return 0;
    lua_createtable(L, 0, 2);
    lua_pushnumber(L, (lua_Number)op->load.version);
    lua_setfield(L, -2, "version");
    lua_createtable(L, 0, (int)op->count);
    for (size_t i = 0; i < op->count; i++) {
        push_span(L, op->fields[i].name);
        push_span(L, op->fields[i].text);
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "fields");
    return 1;
}

static int push_saved(await_t *await, lua_State *L) {
    lua_pushnumber(L, (lua_Number)op_of(await)->save.saved_as);
    return 1;
}

static const await_ops_t LOAD = {push_loaded, cancel, release, "cart.load"};
static const await_ops_t SAVE = {push_saved, cancel, release, "cart.save"};

static span_t keep(op_t *op, span_t text, bool *failed) {
    char *copy = arena_dup(&op->arena, text.len ? text.ptr : "", text.len);
    if (!copy) *failed = true;
    return (span_t){copy, text.len};
}

/* The engine's fields are valid now only, and the script runs later. */
static bool keep_fields(op_t *op) {
    const cache_cart_load_t *load = &op->load;
    bool failed = false;
    op->fields = arena_alloc(&op->arena, (load->count + 1) * sizeof(cache_field_t));
    if (!op->fields) return false;
    op->count = load->count;
    for (size_t i = 0; i < load->count; i++) {
        op->fields[i].name = keep(op, load->fields[i].name, &failed);
        op->fields[i].text = keep(op, load->fields[i].text, &failed);
    }
    return !failed;
}

static void on_loaded(cache_cart_load_t *load) {
    op_t *op = load->data;
    if (load->err)
        await_fail(&op->await, load->err, load->detail[0] ? load->detail : NULL);
    else if (!keep_fields(op))
        await_fail(&op->await, ERR_NO_MEMORY, NULL);
    else
        await_finish(&op->await);
}

static void on_saved(cache_cart_save_t *save) {
    op_t *op = save->data;
    if (save->err == ERR_PRECONDITION_FAILED)
        await_fail(&op->await, save->err, "the cart has changed since it was read");
    else if (save->err)
        await_fail(&op->await, save->err, save->detail[0] ? save->detail : NULL);
    else
        await_finish(&op->await);
}

static const cache_ops_t *ops_of(lua_State *L) {
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* What is left of the request's patience for the cache role. */
static uint64_t wait_ms(const op_t *op) {
    return request_cache_ms(
        detach_request(op->await.task), loop_now(op->await.loop), op->ops->wait_ms);
}

static span_t check_span(lua_State *L, int index) {
    span_t text;
    text.ptr = luaL_checklstring(L, index, &text.len);
    luaL_argcheck(L, text.len > 0, index, "is empty");
    return text;
}

static int l_load(lua_State *L) {
    span_t tenant = check_span(L, 1), session = check_span(L, 2);
    op_t *op = op_new(ops_of(L));
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    op->load.tenant = tenant;
    op->load.session = session;
    op->load.done = on_loaded;
    await_begin(L, &op->await, &LOAD, 0);
    op->load.wait_ms = wait_ms(op);
    int err = op->ops->cart_load(op->ops->engine, &op->load);
    if (err) await_fail(&op->await, err, NULL);
    return await_park(L, &op->await);
}

/* Stack slots of l_save. */
enum { TENANT = 1, SESSION, CHANGE, SET, UNSET, VERSION, TTL };

static int refuse(lua_State *L, const char *sentence) {
    return await_push_error(L, ERR_INVALID, sentence);
}

static span_t text_at(lua_State *L, int index) {
    span_t text = {NULL, 0};
    if (lua_type(L, index) == LUA_TSTRING) text.ptr = lua_tolstring(L, index, &text.len);
    return text;
}

/* How many fields `set` has; -1 when it holds something else than names and texts. */
static int count_set(lua_State *L) {
    int count = 0;
    if (lua_isnil(L, SET)) return 0;
    for (lua_pushnil(L); lua_next(L, SET); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING && count >= 0)
            count++;
        else
            count = -1;
    }
    return count;
}

static int count_unset(lua_State *L) {
    int count = lua_isnil(L, UNSET) ? 0 : (int)lua_objlen(L, UNSET);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, UNSET, i);
        bool fine = lua_type(L, -1) == LUA_TSTRING;
        lua_pop(L, 1);
        if (!fine) return -1;
    }
    return count;
}

/* Points into the script's texts, which stay on its stack until the operation has begun. Checked already: nothing here
   raises. */
static void read_change(lua_State *L, cache_cart_save_t *save, cache_field_t *set, span_t *unset) {
    size_t count = 0;
    save->set = set;
    save->unset = unset;
    if (!lua_isnil(L, SET)) {
        for (lua_pushnil(L); lua_next(L, SET); lua_pop(L, 1))
            set[count++] = (cache_field_t){text_at(L, -2), text_at(L, -1)};
    }
    for (size_t i = 0; i < save->nunset; i++) {
        lua_rawgeti(L, UNSET, (int)i + 1);
        unset[i] = text_at(L, -1);
        lua_pop(L, 1);
    }
}

static void open_change(lua_State *L) {
    luaL_checktype(L, CHANGE, LUA_TTABLE);
    lua_settop(L, CHANGE);
    lua_getfield(L, CHANGE, "set");
    lua_getfield(L, CHANGE, "unset");
    lua_getfield(L, CHANGE, "version");
    lua_getfield(L, CHANGE, "ttl_s");
    for (int i = SET; i <= UNSET; i++)
        if (!lua_isnil(L, i)) luaL_checktype(L, i, LUA_TTABLE);
}

static int begin_save(lua_State *L, op_t *op, size_t nset, size_t nunset) {
    cache_cart_save_t *save = &op->save;
    cache_field_t *set = arena_alloc(&op->arena, (nset + 1) * sizeof *set);
    span_t *unset = arena_alloc(&op->arena, (nunset + 1) * sizeof *unset);
    save->tenant = text_at(L, TENANT);
    save->session = text_at(L, SESSION);
    save->version = (int64_t)lua_tonumber(L, VERSION);
    save->ttl_ms = (uint64_t)ceil(lua_tonumber(L, TTL) * 1000);
    save->nset = nset;
    save->nunset = nunset;
    save->done = on_saved;
    if (!set || !unset) {
        release(&op->await);
        return await_push_error(L, ERR_NO_MEMORY, NULL);
    }
    read_change(L, save, set, unset);
    await_begin(L, &op->await, &SAVE, 0);
    save->wait_ms = wait_ms(op);
    int err = op->ops->cart_save(op->ops->engine, save);
    if (err) await_fail(&op->await, err, NULL);
    return await_park(L, &op->await);
}

static int l_save(lua_State *L) {
    check_span(L, TENANT);
    check_span(L, SESSION);
    open_change(L);
    double version = lua_tonumber(L, VERSION), ttl = lua_tonumber(L, TTL);
    if (lua_type(L, TTL) != LUA_TNUMBER || !(ttl > 0 && ttl <= TTL_MOST_S))
        return refuse(L, "the time to live is not a number of seconds above 0");
    if (lua_type(L, VERSION) != LUA_TNUMBER || !(version >= 0 && version <= VERSION_MOST) ||
        version != floor(version))
        return refuse(L, "the version is not a whole number");
    int nset = count_set(L), nunset = count_unset(L);
    if (nset < 0 || nunset < 0) return refuse(L, "a cart's fields have texts for names and values");
    if (nset + nunset > FIELDS_MOST) return refuse(L, "a cart has too many fields");
    op_t *op = op_new(ops_of(L));
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    return begin_save(L, op, (size_t)nset, (size_t)nunset);
}

static int install(lua_State *L) {
    static const luaL_Reg FUNCTIONS[] = {
        {"load", l_load}, {"save", l_save}, {"step", cart_step_new}, {NULL, NULL}};
    cart_step_open(L);
    native_module(L, "cart", FUNCTIONS, lua_touserdata(L, 1));
    return 0;
}

int cart_open(vm_t *vm, const cache_ops_t *ops) {
    char error[256];
    return vm_protect(vm, install, (void *)ops, error, sizeof error);
}
