/* cart_price.c: reads products from a script's table, and puts them beside a cart's items for the rules. */
#include "cart_price.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/number.h"
#include "lua/decimal.h"

#define CODES_MAX 100

static const value_limits_t PART_LIMITS = {.depth = 6, .nodes = 2000, .bytes = 128 * 1024};

/* What reads one product: its table is on top of the stack. */
typedef struct reader {
    lua_State *L;
    arena_t *arena;
    int err;
} reader_t;

static void push_field(reader_t *reader, const char *name) {
    lua_pushstring(reader->L, name);
    lua_rawget(reader->L, -2);
}

static span_t keep(reader_t *reader, span_t text) {
    char *copy = arena_dup(reader->arena, text.len ? text.ptr : "", text.len);
    if (!copy) reader->err = ERR_NO_MEMORY;
    return (span_t){copy, copy ? text.len : 0};
}

/* A text as it is; a number, exact or not, as JSON writes it. Takes the value from the top. */
static span_t take_text(reader_t *reader) {
    lua_State *L = reader->L;
    char number[NUMBER_TEXT];
    span_t text = {NULL, 0};
    if (lua_type(L, -1) == LUA_TNUMBER) {
        number_text(lua_tonumber(L, -1), number);
        text = span_of(number);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        text.ptr = lua_tolstring(L, -1, &text.len);
    } else if (!decimal_at(L, -1, &text)) {
        text = (span_t){NULL, 0};
    }
    text = keep(reader, text);
    lua_pop(L, 1);
    return text;
}

static span_t text_field(reader_t *reader, const char *name) {
    push_field(reader, name);
    return take_text(reader);
}

static int64_t whole_field(reader_t *reader, const char *name) {
    push_field(reader, name);
    double number = lua_tonumber(reader->L, -1);
    lua_pop(reader->L, 1);
    return number >= -9007199254740992.0 && number <= 9007199254740992.0 ? (int64_t)number : 0;
}

static bool field_is(reader_t *reader, const char *name, span_t wanted) {
    span_t text = {NULL, 0};
    push_field(reader, name);
    if (lua_type(reader->L, -1) == LUA_TSTRING) text.ptr = lua_tolstring(reader->L, -1, &text.len);
    bool same = text.ptr && span_eq(text, wanted);
    lua_pop(reader->L, 1);
    return same;
}

/* Absent, or no plain data: rules see none. */
static const value_t *part_field(reader_t *reader, const char *name) {
    char why[100];
    value_t *part = NULL;
    push_field(reader, name);
    if (lua_istable(reader->L, -1)) {
        part = arena_zalloc(reader->arena, sizeof *part);
        int err =
            part ? value_pack(reader->L, -1, reader->arena, &PART_LIMITS, part, why, sizeof why)
                 : ERR_NO_MEMORY;
        if (err == ERR_NO_MEMORY) reader->err = err;
        if (err) part = NULL;
    }
    lua_pop(reader->L, 1);
    return part;
}

/* The id is below the product on the stack. */
static void read_product(reader_t *reader, cart_product_t *product) {
    lua_pushvalue(reader->L, -2);
    product->id = take_text(reader);
    if (!lua_istable(reader->L, -1)) return;
    product->sku = text_field(reader, "sku");
    product->name = text_field(reader, "name");
    product->price = text_field(reader, "price");
    product->sold = field_is(reader, "status", SPAN("active"));
    product->endless = field_is(reader, "stockPolicy", SPAN("continue"));
    product->stock = whole_field(reader, "stock");
    product->weight_grams = whole_field(reader, "weightGrams");
    product->category = part_field(reader, "category");
    product->attributes = part_field(reader, "attributes");
}

static int by_id(const void *a, const void *b) {
    const cart_product_t *x = a, *y = b;
    size_t len = x->id.len < y->id.len ? x->id.len : y->id.len;
    int order = memcmp(x->id.ptr, y->id.ptr, len);
    return order ? order : (x->id.len > y->id.len) - (x->id.len < y->id.len);
}

int cart_products_read(
    lua_State *L, int index, arena_t *arena, cart_products_t *out, char *why, size_t size) {
    reader_t reader = {.L = L, .arena = arena};
    size_t count = 0;
    luaL_checkstack(L, 12, "products");
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            count++;
            continue;
        }
        lua_pop(L, 2);
        return err_why(ERR_INVALID, why, size, "products are found by their ids");
    }
    *out = (cart_products_t){.items = arena_zalloc(arena, (count + 1) * sizeof(cart_product_t))};
    if (!out->items) return ERR_NO_MEMORY;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        read_product(&reader, &out->items[out->count++]);
    if (reader.err) return reader.err;
    qsort(out->items, out->count, sizeof *out->items, by_id);
    return 0;
}

const cart_product_t *cart_product(const cart_products_t *products, span_t id) {
    cart_product_t wanted = {.id = id};
    return bsearch(&wanted, products->items, products->count, sizeof wanted, by_id);
}

/* Pricing */

static const value_t GUEST = {.kind = VALUE_STRING, .string = {"guest", 5}};
static value_pair_t GROUP[] = {{{"group", 5}, &GUEST}};
static const value_t CUSTOMER = {.kind = VALUE_TABLE, .table = {GROUP, 1}};

static int fill_line(
    const cart_item_t *item, const cart_product_t *product, int digits, price_line_t *line) {
    *line = (price_line_t){.product_id = item->product_id,
        .sku = product->sku,
        .name = product->name,
        .quantity = item->quantity,
        .weight_grams = product->weight_grams,
        .category = product->category,
        .attributes = product->attributes};
    int err = money_parse(product->price, digits, &line->price);
    return !err && (line->price < 0 || line->weight_grams < 0) ? ERR_RANGE : err;
}

/* 0, ERR_NO_MEMORY, or why a product cannot be reckoned with, which *odd is then. */
static int fill_lines(const cart_t *cart, const cart_products_t *products, arena_t *arena,
    cart_priced_t *out, price_input_t *input, const cart_product_t **odd) {
    price_line_t *lines = arena_alloc(arena, (cart->count + 1) * sizeof *lines);
    span_t *names = arena_alloc(arena, (cart->count + 1) * sizeof *names);
    if (!lines || !names) return ERR_NO_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < cart->count; i++) {
        const cart_item_t *item = &cart->items[i];
        const cart_product_t *product = cart_product(products, item->product_id);
        if (!product || !product->sold) continue;
        int err = fill_line(item, product, out->digits, &lines[count]);
        if (err) {
            *odd = product;
            return err;
        }
        names[count++] = item->product_id;
    }
    input->lines = lines;
    input->nlines = out->nlines = count;
    out->lines = names;
    return 0;
}

static void empty_quote(quote_t *quote) {
    quote_t empty = {.priced = true, .shippable = quote->shippable, .fell_back = quote->fell_back};
    memcpy(empty.edition, quote->edition, sizeof empty.edition);
    *quote = empty;
}

/* No rule is asked: the price is from before the shop's currency was another one. The shopper cannot mend that, and
   may still change the cart. */
static void unprice(tenant_t *tenant, const settings_t *settings, const cart_product_t *odd,
    arena_t *arena, quote_t *quote) {
    int sku = odd->sku.len < 100 ? (int)odd->sku.len : 100;
    int price = odd->price.len < 40 ? (int)odd->price.len : 40;
    const char *reason = arena_printf(arena,
        "the price of %.*s, %.*s, is no amount in the shop's settings.currency, %s", sku,
        odd->sku.ptr, price, odd->price.ptr, settings->currency);
    *quote = (quote_t){.err = ERR_UNAVAILABLE};
    quote->reason = span_of(reason ? reason : "out of memory");
    const edition_t *edition = tenant_edition(tenant);
    if (edition) memcpy(quote->edition, edition->hash, sizeof quote->edition);
}

int cart_price(tenants_t *tenants, span_t slug, const cart_t *cart, const cart_products_t *products,
    arena_t *arena, cart_priced_t *out, char *why, size_t size) {
    price_input_t input = {.codes = cart->codes,
        .ncodes = cart->ncodes,
        .address = cart->address,
        .customer = &CUSTOMER,
        .option = cart->option,
        .channel = SPAN("web"),
        .now_ms = clock_wall_ms()};
    *out = (cart_priced_t){.digits = 0};
    tenant_t *tenant = tenants_find(tenants, slug);
    if (!tenant) return err_why(ERR_NOT_FOUND, why, size, "there is no such tenant");
    const settings_t *settings = tenant_settings(tenant, why, size);
    if (!settings) return ERR_UNAVAILABLE;
    out->digits = settings->digits;
    /* More than the rules are made for: others have written them into the hash. */
    if (cart->count > PRICE_LINES_MAX || cart->ncodes > CODES_MAX)
        return err_why(ERR_INVALID, why, size, "the cart has too many lines or codes");
    const cart_product_t *odd = NULL;
    int err = fill_lines(cart, products, arena, out, &input, &odd);
    if (err == ERR_PRECISION) {
        unprice(tenant, settings, odd, arena, &out->quote);
        return 0;
    }
    if (odd)
        return err_why(
            ERR_INVALID, why, size, "a product's price or weight is none that the rules can take");
    if (err) return err;
    input.seed = price_seed(&input);
    tenant_price(tenant, settings, &input, arena, &out->quote);
    if (input.nlines == 0 && out->quote.priced) empty_quote(&out->quote);
    return 0;
}
