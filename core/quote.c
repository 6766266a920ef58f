/* quote.c: reads a cart from a trusted script's table, prices it, and pushes the quote. */
#include "quote.h"
#include "app.h"
#include "base/err.h"
#include "detach.h"
#include "lua/await.h"
#include "lua/json.h"
#include "lua/json_mark.h"
#include "req.h"
#include <stdio.h>

#define CODES_MAX 100
/* Stack slots of price_protected. The names that each line has lie there, made once for all lines. */
enum {
    TENANT = 1,
    CART,
    CATEGORY,
    ATTRIBUTES,
    PRODUCT_ID,
    SKU,
    NAME,
    PRICE,
    QUANTITY,
    WEIGHT,
    LAST = WEIGHT
};
static const char *const LINE_NAMES[] = {
    "category", "attributes", "productId", "sku", "name", "price", "quantity", "weightGrams"};

typedef struct call {
    lua_State *L;
    services_t *services;
    arena_t arena;
    price_input_t input;
    price_line_t *lines;
    int items; /* stack index of cart.items */
    bool explain;
    quote_t quote;
    int err; /* of the input, with why */
    char why[300];
} call_t;

static const value_limits_t PART_LIMITS = {.depth = 6, .nodes = 2000, .bytes = 128 * 1024};

static services_t *services_of(lua_State *L) {
    return app_of(L)->services;
}

static int refuse(call_t *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(call_t *call, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(call->why, sizeof call->why, format, args);
    va_end(args);
    call->err = ERR_INVALID;
    return ERR_INVALID;
}

static void raw_field(lua_State *L, int table, const char *name) {
    lua_pushstring(L, name);
    lua_rawget(L, table);
}

/* The field of a line whose name lies at `name`. */
static void line_field(lua_State *L, int line, int name) {
    lua_pushvalue(L, name);
    lua_rawget(L, line);
}

/* Takes the text on the top; its bytes live as long as the cart, which is on the stack. Numbers are no texts. */
static span_t take_text(lua_State *L) {
    span_t text = {"", 0};
    if (lua_type(L, -1) == LUA_TSTRING) text.ptr = lua_tolstring(L, -1, &text.len);
    lua_pop(L, 1);
    return text;
}

static span_t text_field(lua_State *L, int table, const char *name) {
    raw_field(L, table, name);
    return take_text(L);
}

/* Takes the number on the top. */
static int take_whole(
    call_t *call, const char *name, double least, int64_t fallback, int64_t *out) {
    int type = lua_type(call->L, -1);
    double number = lua_tonumber(call->L, -1);
    lua_pop(call->L, 1);
    *out = fallback;
    if (type == LUA_TNIL && fallback >= 0) return 0;
    if (type != LUA_TNUMBER || !(number >= least && number <= 9007199254740992.0))
        return refuse(call, "%s must be a whole number, %.0f or more", name, least);
    *out = (int64_t)number;
    return (double)*out == number ? 0 : refuse(call, "%s must be a whole number", name);
}

static int whole_field(call_t *call, int table, const char *name, int64_t *out) {
    raw_field(call->L, table, name);
    return take_whole(call, name, 0, 0, out);
}

/* A rule reads a line's category or attributes: they come from the cart's table only now. This runs inside the
   tenant's protected call, so nothing here may raise in the script's VM: names are on the stack already, raw access
   allocates nothing, and value_pack raises nothing. */
static const value_t *fetch_part(void *data, size_t line, price_part_t part) {
    call_t *call = data;
    lua_State *L = call->L;
    char why[120];
    int top = lua_gettop(L);
    value_t *out = arena_zalloc(&call->arena, sizeof(value_t));
    if (!out) return NULL;
    lua_rawgeti(L, call->items, (int)line + 1);
    lua_pushvalue(L, part == PART_CATEGORY ? CATEGORY : ATTRIBUTES);
    lua_rawget(L, -2);
    int err = lua_istable(L, -1)
                  ? value_pack(L, -1, &call->arena, &PART_LIMITS, out, why, sizeof why)
                  : ERR_INVALID;
    lua_settop(L, top);
    return err ? NULL : out;
}

static int read_line(call_t *call, price_line_t *line) {
    lua_State *L = call->L;
    int table = lua_gettop(L);
    line_field(L, table, PRODUCT_ID);
    line->product_id = take_text(L);
    line_field(L, table, SKU);
    line->sku = take_text(L);
    line_field(L, table, NAME);
    line->name = take_text(L);
    line_field(L, table, PRICE);
    int err = take_whole(call, "price", 0, -1, &line->price);
    line_field(L, table, QUANTITY);
    if (!err) err = take_whole(call, "quantity", 1, -1, &line->quantity);
    line_field(L, table, WEIGHT);
    if (!err) err = take_whole(call, "weightGrams", 0, 0, &line->weight_grams);
    return err;
}

static int read_lines(call_t *call, int cart) {
    lua_State *L = call->L;
    raw_field(L, cart, "items");
    if (!lua_istable(L, -1)) return refuse(call, "items must be a list");
    call->items = lua_gettop(L);
    size_t count = lua_objlen(L, -1);
    if (count > PRICE_LINES_MAX)
        return refuse(call, "a cart has at most %d lines", PRICE_LINES_MAX);
    call->lines = arena_zalloc(&call->arena, (count + 1) * sizeof(price_line_t));
    if (!call->lines) return refuse(call, "out of memory");
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, call->items, (int)i + 1);
        int err =
            lua_istable(L, -1) ? read_line(call, &call->lines[i]) : refuse(call, "must be a table");
        lua_settop(L, call->items);
        if (!err) continue;
        char rest[200];
        snprintf(rest, sizeof rest, "%.199s", call->why);
        return refuse(call, "items %zu: %s", i + 1, rest);
    }
    call->input.lines = call->lines;
    call->input.nlines = count;
    return 0;
}

static int read_codes(call_t *call, int cart) {
    lua_State *L = call->L;
    raw_field(L, cart, "codes");
    size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    if (count > CODES_MAX) return refuse(call, "a cart has at most %d codes", CODES_MAX);
    span_t *codes = count ? arena_alloc(&call->arena, count * sizeof(span_t)) : NULL;
    if (count && !codes) return refuse(call, "out of memory");
    int table = lua_gettop(L);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, table, (int)i + 1);
        if (lua_type(L, -1) != LUA_TSTRING) return refuse(call, "codes must be texts");
        codes[i].ptr = lua_tolstring(L, -1, &codes[i].len);
        lua_pop(L, 1);
    }
    call->input.codes = codes;
    call->input.ncodes = count;
    lua_pop(L, 1);
    return 0;
}

/* address and customer: packed, since rules see them whole. json.null is none. */
static int read_table(call_t *call, int cart, const char *name, const value_t **out) {
    lua_State *L = call->L;
    raw_field(L, cart, name);
    *out = NULL;
    if (lua_istable(L, -1)) {
        char why[120];
        value_t *value = arena_zalloc(&call->arena, sizeof(value_t));
        if (!value) return refuse(call, "out of memory");
        if (value_pack(L, -1, &call->arena, &PART_LIMITS, value, why, sizeof why))
            return refuse(call, "%s: %s", name, why);
        *out = value;
    }
    lua_pop(L, 1);
    return 0;
}

static int read_moment(call_t *call, int cart) {
    int64_t seed;
    int err = whole_field(call, cart, "now_ms", &call->input.now_ms);
    if (!err) err = whole_field(call, cart, "seed", &seed);
    if (err) return err;
    if (call->input.now_ms == 0) call->input.now_ms = clock_wall_ms();
    call->input.seed = seed ? (uint64_t)seed : price_seed(&call->input);
    return 0;
}

static int read_cart(call_t *call, int cart) {
    lua_State *L = call->L;
    raw_field(L, cart, "explain");
    call->explain = lua_isnil(L, -1) || lua_toboolean(L, -1);
    lua_pop(L, 1);
    call->input.option = text_field(L, cart, "option");
    call->input.channel = text_field(L, cart, "channel");
    call->input.part = fetch_part;
    call->input.data = call;
    int err = read_codes(call, cart);
    if (!err) err = read_table(call, cart, "address", &call->input.address);
    if (!err) err = read_table(call, cart, "customer", &call->input.customer);
    if (!err) err = read_lines(call, cart);
    return err ? err : read_moment(call, cart);
}

static void set_int(lua_State *L, const char *name, int64_t value) {
    lua_pushnumber(L, (lua_Number)value);
    lua_setfield(L, -2, name);
}

static void set_span(lua_State *L, const char *name, span_t text) {
    lua_pushlstring(L, text.len ? text.ptr : "", text.len);
    lua_setfield(L, -2, name);
}

static void set_true(lua_State *L, const char *name) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, name);
}

static void new_list(lua_State *L, size_t count) {
    lua_createtable(L, (int)count, 0);
    json_mark(L, true);
}

static void set_discounts(lua_State *L, const quote_t *quote) {
    new_list(L, quote->discounts.count);
    for (size_t i = 0; i < quote->discounts.count; i++) {
        const quote_discount_t *discount = &quote->discounts.items[i];
        lua_createtable(L, 0, 3);
        set_span(L, "reason", discount->reason);
        if (discount->code.len) set_span(L, "code", discount->code);
        set_int(L, "amount", discount->amount);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "discounts");
}

static void set_options(lua_State *L, const quote_t *quote) {
    new_list(L, quote->options.count);
    for (size_t i = 0; i < quote->options.count; i++) {
        const quote_option_t *option = &quote->options.items[i];
        lua_createtable(L, 0, 4);
        set_span(L, "id", option->id);
        set_span(L, "name", option->name);
        set_int(L, "amount", option->amount);
        if (option->days >= 0) set_int(L, "days", option->days);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "shippingOptions");
    if (quote->shipping_option.len) set_span(L, "shippingOption", quote->shipping_option);
}

static void set_taxes(lua_State *L, const quote_t *quote) {
    new_list(L, quote->taxes.count);
    for (size_t i = 0; i < quote->taxes.count; i++) {
        const quote_tax_t *tax = &quote->taxes.items[i];
        lua_createtable(L, 0, 4);
        set_span(L, "name", tax->name);
        set_span(L, "rate", tax->rate);
        set_int(L, "amount", tax->amount);
        lua_pushboolean(L, tax->inclusive);
        lua_setfield(L, -2, "inclusive");
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "taxLines");
}

static void set_violations(lua_State *L, const quote_t *quote) {
    new_list(L, quote->violations.count);
    for (size_t i = 0; i < quote->violations.count; i++) {
        const quote_violation_t *violation = &quote->violations.items[i];
        lua_createtable(L, 0, 3);
        set_span(L, "code", violation->code);
        set_span(L, "message", violation->message);
        if (violation->line) set_int(L, "line", violation->line);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "violations");
}

static void set_explain(lua_State *L, const quote_t *quote) {
    new_list(L, quote->explain.count);
    for (size_t i = 0; i < quote->explain.count; i++) {
        const quote_entry_t *entry = &quote->explain.items[i];
        lua_createtable(L, 0, 6);
        lua_pushstring(L, rule_kind_name(entry->rule));
        lua_setfield(L, -2, "rule");
        if (entry->line) set_int(L, "line", entry->line);
        if (entry->order) set_true(L, "order");
        if (entry->shipping) set_true(L, "shipping");
        if (entry->inclusive) set_true(L, "inclusive");
        set_int(L, "amount", entry->amount);
        set_span(L, "reason", entry->reason);
        if (entry->code.len) set_span(L, "code", entry->code);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "explain");
}

static void set_amounts(lua_State *L, const quote_t *quote) {
    set_int(L, "subtotal", quote->subtotal);
    set_int(L, "discount", quote->discount);
    set_int(L, "shipping", quote->shipping);
    set_int(L, "tax", quote->tax);
    set_int(L, "taxIncluded", quote->tax_included);
    set_int(L, "total", quote->total);
    lua_pushboolean(L, quote->shippable);
    lua_setfield(L, -2, "shippable");
}

void quote_push(lua_State *L, const quote_t *quote, bool explain) {
    lua_createtable(L, 0, 16);
    lua_pushboolean(L, quote->priced);
    lua_setfield(L, -2, "priced");
    lua_pushstring(L, quote->edition);
    lua_setfield(L, -2, "ruleEdition");
    if (!quote->priced) {
        set_span(L, "reason", quote->reason);
        lua_pushstring(L, err_name(quote->err));
        lua_setfield(L, -2, "error");
        if (quote->retry_after_ms) set_int(L, "retryAfterMs", (int64_t)quote->retry_after_ms);
        return;
    }
    if (quote->fell_back) set_true(L, "fellBack");
    set_amounts(L, quote);
    set_discounts(L, quote);
    set_options(L, quote);
    set_taxes(L, quote);
    set_violations(L, quote);
    if (explain) set_explain(L, quote);
}

/* The slug of the first argument: a text, a tenant's document, or a request, which has one as `tenant`. */
static span_t slug_of(call_t *call) {
    lua_State *L = call->L;
    span_t slug = {"", 0};
    const request_t *request = req_find(L, TENANT);
    if (request && request->settings) return request->settings->slug;
    lua_pushvalue(L, TENANT);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "tenant");
        if (!lua_istable(L, -1)) lua_pop(L, 1);
        lua_getfield(L, -1, "slug");
    }
    if (lua_type(L, -1) == LUA_TSTRING) slug.ptr = lua_tolstring(L, -1, &slug.len);
    lua_settop(L, LAST);
    return slug;
}

static int fail(call_t *call, int err) {
    call->err = err;
    return await_push_error(call->L, err, call->why[0] ? call->why : NULL);
}

void quote_note(task_t *task, const quote_t *quote) {
    request_t *request = detach_request(task);
    const char *hash = quote->edition;
    if (request) request->edition = arena_dup(&request->exchange->arena, hash, strlen(hash) + 1);
}

/* (tenant, cart, call); runs protected, so that the arena always goes. */
static int price_protected(lua_State *L) {
    call_t *call = lua_touserdata(L, 3);
    lua_settop(L, CART);
    luaL_checktype(L, CART, LUA_TTABLE);
    luaL_checkstack(L, 80, "a cart");
    for (size_t i = 0; i < sizeof LINE_NAMES / sizeof *LINE_NAMES; i++)
        lua_pushstring(L, LINE_NAMES[i]);
    span_t slug = slug_of(call);
    tenant_t *tenant = slug.len ? tenants_find(call->services->tenants, slug) : NULL;
    if (!tenant) {
        snprintf(call->why, sizeof call->why, "there is no such tenant");
        return fail(call, ERR_NOT_FOUND);
    }
    const settings_t *settings = tenant_settings(tenant, call->why, sizeof call->why);
    if (!settings) return fail(call, ERR_UNAVAILABLE);
    if (read_cart(call, CART)) return fail(call, call->err);
    tenant_price(tenant, settings, &call->input, &call->arena, &call->quote);
    quote_note(task_of(L), &call->quote);
    quote_push(L, &call->quote, call->explain);
    return 1;
}

static int l_price(lua_State *L) {
    call_t call = {.L = L, .services = services_of(L)};
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_pushlightuserdata(L, &call);
    arena_create(&call.arena);
    int status = lua_pcall(L, 3, LUA_MULTRET, 0);
    arena_destroy(&call.arena);
    return status ? lua_error(L) : lua_gettop(L);
}

/* Pushes the tenant.json of the tenant's own edition; false when it has none. The check has refused what does not
   parse. */
static bool push_seed(lua_State *L, const tenant_t *tenant) {
    char why[200];
    const edition_t *edition = tenant_edition(tenant);
    if (!edition->document.len || !span_eq(edition->slug, tenant_slug(tenant))) return false;
    int err = json_decode(L, edition->document, why, sizeof why);
    if (err == ERR_NO_MEMORY) luaL_error(L, "%s", why);
    return err == 0;
}

static int l_seeds(lua_State *L) {
    size_t at = 0;
    int count = 0;
    span_t only;
    only.ptr = luaL_optlstring(L, 1, NULL, &only.len);
    new_list(L, 8);
    for (tenant_t *tenant; (tenant = tenants_next(services_of(L)->tenants, &at));) {
        bool wanted = !only.ptr || span_eq(tenant_slug(tenant), only);
        if (wanted && push_seed(L, tenant)) lua_rawseti(L, -2, ++count);
    }
    return 1;
}

int luaopen_rules(lua_State *L) {
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, price_protected);
    lua_pushcclosure(L, l_price, 1);
    lua_setfield(L, -2, "price");
    lua_pushcfunction(L, l_seeds);
    lua_setfield(L, -2, "seeds");
    return 1;
}
