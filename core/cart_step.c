/* cart_step.c: reads a cart, changes and prices it, and writes it back by compare and swap, until it is first. */
#include "cart_step.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "app.h"
#include "base/err.h"
#include "cart_change.h"
#include "detach.h"
#include "lua/await.h"
#include "lua/decimal.h"
#include "lua/json.h"
#include "lua/native.h"
#include "quote.h"
#include "services.h"

#define TYPE "perigee.cart_step"
#define TRIES 50
#define TTL_MOST_S (366.0 * 86400)

typedef enum { STEP_DONE, STEP_REFUSED, STEP_AGAIN } outcome_t;

/* Held by the script's object and by the operation that runs; either may be the first to go. */
typedef struct step {
    int refs;
    await_t await;
    bool busy, spent;
    const cache_ops_t *ops;
    cache_cart_load_t load;
    cache_cart_save_t save;
    arena_t names; /* tenant and session */
    arena_t read;  /* the cart as it was read, and its edits */
    arena_t order; /* what the script asked for */
    arena_t work;  /* one attempt's price */
    cart_t cart;

    services_t *services;
    span_t slug;
    cart_change_t change;
    cart_products_t products;
    bool once, explain;
    int tries;

    cart_priced_t priced;
    cart_refusal_t refusal;
    outcome_t outcome;
} step_t;

static step_t *step_of(await_t *await) {
    return LIST_OWNER(await, step_t, await);
}

static void unref(step_t *step) {
    if (--step->refs > 0) return;
    arena_destroy(&step->names);
    arena_destroy(&step->read);
    arena_destroy(&step->order);
    arena_destroy(&step->work);
    free(step);
}

static void release(await_t *await) {
    step_of(await)->busy = false;
    unref(step_of(await));
}

static void cancel(await_t *await) {
    step_t *step = step_of(await);
    step->ops->cart_load_cancel(&step->load);
    step->ops->cart_save_cancel(&step->save);
    await_finish(await);
}

static void fail(step_t *step, int err, const char *detail) {
    step->spent = true;
    await_fail(&step->await, err, detail && *detail ? detail : NULL);
}

static void finish(step_t *step, outcome_t outcome) {
    step->outcome = outcome;
    step->spent = outcome != STEP_AGAIN;
    await_finish(&step->await);
}

/* Results */

static void set_text(lua_State *L, const char *name, span_t text) {
    if (!text.len) return;
    lua_pushlstring(L, text.ptr, text.len);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, int64_t number) {
    lua_pushnumber(L, (lua_Number)number);
    lua_setfield(L, -2, name);
}

/* A text that is no JSON is nothing. */
static void set_json(lua_State *L, const char *name, span_t json) {
    char why[100];
    if (!json.len) return;
    int err = json_decode(L, json, why, sizeof why);
    if (err == ERR_NO_MEMORY) luaL_error(L, "%s", why);
    if (!err) lua_setfield(L, -2, name);
}

static void push_item(lua_State *L, const cart_item_t *item) {
    lua_createtable(L, 0, 6);
    set_text(L, "productId", item->product_id);
    set_text(L, "sku", item->sku);
    set_text(L, "name", item->name);
    decimal_push(L, item->price);
    lua_setfield(L, -2, "price");
    set_number(L, "quantity", item->quantity);
    set_number(L, "position", item->position);
}

static void push_cart(lua_State *L, const cart_t *cart) {
    lua_createtable(L, 0, 8);
    set_number(L, "version", cart->version);
    set_text(L, "id", cart->id);
    set_text(L, "updatedAt", cart->updated_at);
    set_text(L, "option", cart->option);
    set_json(L, "codes", cart->codes_json.len ? cart->codes_json : SPAN("[]"));
    set_json(L, "address", cart->address_json);
    lua_createtable(L, (int)cart->count, 0);
    for (size_t i = 0; i < cart->count; i++) {
        push_item(L, &cart->items[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "items");
}

static void push_ids(lua_State *L, const cart_t *cart) {
    lua_createtable(L, (int)cart->count, 0);
    for (size_t i = 0; i < cart->count; i++) {
        span_t id = cart->items[i].product_id;
        lua_pushlstring(L, id.ptr, id.len);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static void push_done(lua_State *L, const step_t *step) {
    lua_createtable(L, 0, 3);
    push_cart(L, &step->cart);
    lua_setfield(L, -2, "cart");
    quote_push(L, &step->priced.quote, step->explain);
    lua_setfield(L, -2, "quote");
    lua_createtable(L, (int)step->priced.nlines, 0);
    for (size_t i = 0; i < step->priced.nlines; i++) {
        lua_pushlstring(L, step->priced.lines[i].ptr, step->priced.lines[i].len);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "lines");
}

static void push_refused(lua_State *L, const cart_refusal_t *refusal) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, refusal->reason);
    lua_setfield(L, -2, "refused");
    set_text(L, "sku", refusal->sku);
    set_number(L, "available", refusal->available);
}

static void push_again(lua_State *L, const cart_t *cart) {
    lua_createtable(L, 0, 1);
    push_ids(L, cart);
    lua_setfield(L, -2, "again");
}

static int push_outcome(await_t *await, lua_State *L) {
    step_t *step = step_of(await);
    if (step->outcome == STEP_REFUSED)
        push_refused(L, &step->refusal);
    else if (step->outcome == STEP_AGAIN)
        push_again(L, &step->cart);
    else
        push_done(L, step);
    if (step->outcome == STEP_DONE) quote_note(await->task, &step->priced.quote);
    return 1;
}

static int push_step(await_t *await, lua_State *L) {
    step_t **box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    luaL_getmetatable(L, TYPE);
    lua_setmetatable(L, -2);
    *box = step_of(await);
    (*box)->refs++;
    return 1;
}

static const await_ops_t READ = {push_step, cancel, release, "cart.step"};
static const await_ops_t CHANGE = {push_outcome, cancel, release, "cart.change"};

/* Reading */

/* The engine's fields are valid inside done only. */
static int keep_cart(step_t *step) {
    arena_reset(&step->read);
    return cart_read(&step->cart, &step->read, &step->load);
}

/* What is left of the request's patience for the cache role. */
static uint64_t wait_ms(const step_t *step) {
    return request_cache_ms(
        detach_request(step->await.task), loop_now(step->await.loop), step->ops->wait_ms);
}

static void start_load(step_t *step, void (*done)(cache_cart_load_t *)) {
    step->load = (cache_cart_load_t){.tenant = step->save.tenant,
        .session = step->save.session,
        .wait_ms = wait_ms(step),
        .done = done,
        .data = step};
    int err = step->ops->cart_load(step->ops->engine, &step->load);
    if (err) fail(step, err, NULL);
}

static void on_read(cache_cart_load_t *load) {
    step_t *step = load->data;
    int err = load->err ? load->err : keep_cart(step);
    if (err)
        fail(step, err, load->detail);
    else
        await_finish(&step->await);
}

/* Changing */

static void attempt(step_t *step);

static void on_read_again(cache_cart_load_t *load) {
    step_t *step = load->data;
    int err = load->err ? load->err : keep_cart(step);
    if (err)
        fail(step, err, load->detail);
    else if (step->once)
        finish(step, STEP_AGAIN);
    else
        attempt(step);
}

static void on_saved(cache_cart_save_t *save) {
    step_t *step = save->data;
    if (!save->err) {
        step->cart.version = save->saved_as;
        finish(step, STEP_DONE);
    } else if (save->err != ERR_PRECONDITION_FAILED) {
        fail(step, save->err, save->detail);
    } else if (++step->tries < TRIES) {
        start_load(step, on_read_again);
    } else {
        fail(step, ERR_CONFLICT, "the cart changes too often; try again");
    }
}

/* 0, or an error with a sentence. */
static int price(step_t *step, char *why, size_t size) {
    arena_reset(&step->work);
    return cart_price(step->services->tenants, step->slug, &step->cart, &step->products,
        &step->work, &step->priced, why, size);
}

static bool knows_products(const step_t *step) {
    for (size_t i = 0; i < step->cart.count; i++)
        if (!cart_product(&step->products, step->cart.items[i].product_id)) return false;
    return true;
}

/* Without a refusal the cart is as it is to be written, and priced. */
static int edit(step_t *step, char *why, size_t size) {
    int err = 0;
    step->refusal = (cart_refusal_t){0};
    if (step->change.kind == CART_OPTION) {
        err = price(step, why, size);
        if (!err)
            cart_change_option(&step->change, &step->cart, &step->priced.quote, &step->refusal);
        if (err || step->refusal.reason) return err;
    }
    err = cart_change_apply(&step->change, &step->cart, &step->products, &step->refusal);
    if (err || step->refusal.reason) return err;
    return price(step, why, size);
}

static int write_back(step_t *step) {
    int err = cart_write(&step->cart, &step->priced.quote, step->priced.digits, &step->save);
    step->save.wait_ms = wait_ms(step);
    return err ? err : step->ops->cart_save(step->ops->engine, &step->save);
}

static void attempt(step_t *step) {
    char why[300] = "";
    if (!knows_products(step)) {
        finish(step, STEP_AGAIN);
        return;
    }
    int err = edit(step, why, sizeof why);
    if (!err && step->refusal.reason) {
        finish(step, STEP_REFUSED);
        return;
    }
    if (!err) err = write_back(step);
    if (err) fail(step, err, why);
}

/* For scripts */

static span_t check_text(lua_State *L, int index) {
    span_t text;
    text.ptr = luaL_checklstring(L, index, &text.len);
    luaL_argcheck(L, text.len > 0, index, "is empty");
    return text;
}

static span_t keep(arena_t *arena, span_t text) {
    char *copy = arena_dup(arena, text.ptr, text.len);
    return (span_t){copy, copy ? text.len : 0};
}

static step_t *step_alloc(const cache_ops_t *ops, span_t tenant, span_t session) {
    step_t *step = calloc(1, sizeof *step);
    if (!step) return NULL;
    step->refs = 1;
    step->ops = ops;
    arena_create(&step->names);
    arena_create(&step->read);
    arena_create(&step->order);
    arena_create(&step->work);
    step->save.tenant = keep(&step->names, tenant);
    step->save.session = keep(&step->names, session);
    if (step->save.tenant.ptr && step->save.session.ptr) return step;
    unref(step);
    return NULL;
}

int cart_step_new(lua_State *L) {
    const cache_ops_t *ops = lua_touserdata(L, lua_upvalueindex(1));
    span_t tenant = check_text(L, 1), session = check_text(L, 2);
    step_t *step = step_alloc(ops, tenant, session);
    if (!step) return await_push_error(L, ERR_NO_MEMORY, NULL);
    step->busy = true;
    await_begin(L, &step->await, &READ, 0);
    start_load(step, on_read);
    return await_park(L, &step->await);
}

static step_t *check_step(lua_State *L) {
    step_t **box = luaL_checkudata(L, 1, TYPE);
    if ((*box)->busy || (*box)->spent) luaL_error(L, "the step is over, or not yet");
    return *box;
}

static int l_version(lua_State *L) {
    lua_pushnumber(L, (lua_Number)check_step(L)->cart.version);
    return 1;
}

static int l_ids(lua_State *L) {
    push_ids(L, &check_step(L)->cart);
    return 1;
}

static int l_cart(lua_State *L) {
    push_cart(L, &check_step(L)->cart);
    return 1;
}

/* What both orders have in common; the table is at 2. May raise: all it has is the step's. */
static int read_order(lua_State *L, step_t *step, char *why, size_t size) {
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    arena_reset(&step->order);
    step->services = app_of(L)->services;
    lua_getfield(L, 2, "slug");
    step->slug = keep(&step->order, check_text(L, 3));
    lua_getfield(L, 2, "products");
    luaL_checktype(L, 4, LUA_TTABLE);
    lua_getfield(L, 2, "explain");
    step->explain = lua_toboolean(L, 5);
    lua_getfield(L, 2, "once");
    step->once = lua_toboolean(L, 6);
    if (!step->slug.ptr) return ERR_NO_MEMORY;
    return cart_products_read(L, 4, &step->order, &step->products, why, size);
}

static int push_failure(lua_State *L, int err, const char *why) {
    return await_push_error(L, err, why[0] ? why : NULL);
}

static int l_show(lua_State *L) {
    char why[300] = "";
    step_t *step = check_step(L);
    int err = read_order(L, step, why, sizeof why);
    if (!err) err = price(step, why, sizeof why);
    if (err) return push_failure(L, err, why);
    quote_note(task_of(L), &step->priced.quote);
    push_done(L, step);
    return 1;
}

static int read_change(lua_State *L, step_t *step, char *why, size_t size) {
    int err = read_order(L, step, why, size);
    if (err) return err;
    lua_getfield(L, 2, "ttl_s");
    double ttl_s = lua_tonumber(L, 7);
    if (!(ttl_s > 0 && ttl_s <= TTL_MOST_S))
        return err_why(
            ERR_INVALID, why, size, "the time to live is not a number of seconds above 0");
    step->save.ttl_ms = (uint64_t)ceil(ttl_s * 1000);
    lua_getfield(L, 2, "change");
    return cart_change_read(L, 8, &step->order, &step->change, why, size);
}

static int l_change(lua_State *L) {
    char why[300] = "";
    step_t *step = check_step(L);
    int err = read_change(L, step, why, sizeof why);
    if (err) return push_failure(L, err, why);
    step->save.done = on_saved;
    step->save.data = step;
    step->tries = 0;
    step->busy = true;
    step->refs++;
    await_begin(L, &step->await, &CHANGE, 0);
    attempt(step);
    return await_park(L, &step->await);
}

static int l_gc(lua_State *L) {
    step_t **box = lua_touserdata(L, 1);
    if (*box) unref(*box);
    *box = NULL;
    return 0;
}

void cart_step_open(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"version", l_version}, {"ids", l_ids}, {"cart", l_cart},
        {"show", l_show}, {"change", l_change}, {NULL, NULL}};
    native_kind(L, TYPE, METHODS, l_gc);
}
