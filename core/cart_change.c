/* cart_change.c: adds, sets, removes and chooses in a cart, within its stock and its limits. */
#include "cart_change.h"
#include <lauxlib.h>
#include "base/err.h"

static const char *const KINDS[] = {"add", "quantity", "remove", "address", "codes", "option"};
#define KIND_COUNT (sizeof KINDS / sizeof *KINDS)

static span_t text_field(lua_State *L, int index, const char *name, arena_t *arena, int *err) {
    span_t text = {"", 0};
    lua_pushstring(L, name);
    lua_rawget(L, index);
    if (lua_type(L, -1) == LUA_TSTRING) text.ptr = lua_tolstring(L, -1, &text.len);
    char *copy = arena_dup(arena, text.ptr, text.len);
    lua_pop(L, 1);
    if (!copy) *err = ERR_NO_MEMORY;
    return (span_t){copy, copy ? text.len : 0};
}

static int64_t whole_field(lua_State *L, int index, const char *name) {
    lua_pushstring(L, name);
    lua_rawget(L, index);
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number >= 0 && number <= 1e9 ? (int64_t)number : -1;
}

int cart_change_read(
    lua_State *L, int index, arena_t *arena, cart_change_t *out, char *why, size_t size) {
    int err = 0;
    size_t kind = 0;
    luaL_checktype(L, index, LUA_TTABLE);
    luaL_checkstack(L, 4, "a change");
    span_t name = text_field(L, index, "kind", arena, &err);
    out->product_id = text_field(L, index, "product_id", arena, &err);
    out->json = text_field(L, index, "json", arena, &err);
    out->option = text_field(L, index, "option", arena, &err);
    out->quantity = whole_field(L, index, "quantity");
    out->most_pieces = whole_field(L, index, "most_pieces");
    out->most_lines = whole_field(L, index, "most_lines");
    if (err) return err;
    while (kind < KIND_COUNT && !span_eq(name, span_of(KINDS[kind])))
        kind++;
    if (kind == KIND_COUNT) return err_why(ERR_INVALID, why, size, "a cart has no such change");
    out->kind = (cart_change_kind_t)kind;
    return 0;
}

static int refuse(cart_refusal_t *refusal, const char *reason) {
    refusal->reason = reason;
    return 0;
}

static int set_quantity(const cart_change_t *change, cart_item_t *item,
    const cart_product_t *product, int64_t quantity, cart_refusal_t *refusal) {
    if (quantity > change->most_pieces) return refuse(refusal, "too_many_pieces");
    refusal->available = product->stock > 0 ? product->stock : 0;
    refusal->sku = product->sku;
    if (!product->endless && quantity > refusal->available)
        return refuse(refusal, "insufficient_stock");
    item->changed = item->changed || item->quantity != quantity;
    item->quantity = quantity;
    return 0;
}

static int add(const cart_change_t *change, cart_t *cart, const cart_products_t *products,
    cart_refusal_t *refusal) {
    const cart_product_t *product = cart_product(products, change->product_id);
    if (!product || !product->sold) return refuse(refusal, "not_sold");
    cart_item_t *item = cart_find(cart, change->product_id);
    if (!item && (int64_t)cart->count >= change->most_lines)
        return refuse(refusal, "too_many_lines");
    if (!item) item = cart_append(cart, change->product_id);
    if (!item) return ERR_NO_MEMORY;
    return set_quantity(change, item, product, item->quantity + change->quantity, refusal);
}

static int set(const cart_change_t *change, cart_t *cart, const cart_products_t *products,
    cart_refusal_t *refusal) {
    cart_item_t *item = cart_find(cart, change->product_id);
    const cart_product_t *product = cart_product(products, change->product_id);
    if (!item) return refuse(refusal, "no_line");
    if (!product || !product->sold) return refuse(refusal, "not_sold");
    return set_quantity(change, item, product, change->quantity, refusal);
}

static int take_out(const cart_change_t *change, cart_t *cart, cart_refusal_t *refusal) {
    cart_item_t *item = cart_find(cart, change->product_id);
    if (!item) return refuse(refusal, "no_line");
    cart_remove(cart, item);
    return 0;
}

static int apply(const cart_change_t *change, cart_t *cart, const cart_products_t *products,
    cart_refusal_t *refusal) {
    switch (change->kind) {
    case CART_ADD:
        return add(change, cart, products, refusal);
    case CART_QUANTITY:
        return set(change, cart, products, refusal);
    case CART_REMOVE:
        return take_out(change, cart, refusal);
    case CART_ADDRESS:
        return cart_set_address(cart, change->json);
    case CART_CODES:
        return cart_set_codes(cart, change->json);
    default:
        return 0;
    }
}

static void take(span_t *to, span_t from, bool *changed) {
    if (span_eq(*to, from)) return;
    *to = from;
    *changed = true;
}

/* What the shopper was shown as changed is settled by a write. */
static void settle_prices(cart_t *cart, const cart_products_t *products) {
    for (size_t i = 0; i < cart->count; i++) {
        cart_item_t *item = &cart->items[i];
        const cart_product_t *product = cart_product(products, item->product_id);
        if (!product || !product->sold) continue;
        take(&item->price, product->price, &item->changed);
        take(&item->sku, product->sku, &item->changed);
        take(&item->name, product->name, &item->changed);
    }
}

int cart_change_apply(const cart_change_t *change, cart_t *cart, const cart_products_t *products,
    cart_refusal_t *refusal) {
    *refusal = (cart_refusal_t){0};
    int err = apply(change, cart, products, refusal);
    if (!err && !refusal->reason) settle_prices(cart, products);
    return err;
}

void cart_change_option(
    const cart_change_t *change, cart_t *cart, const quote_t *quote, cart_refusal_t *refusal) {
    /* Kept unchecked, it could be an option that was never offered. */
    refusal->reason = quote->priced ? "not_offered" : "unpriced";
    if (!quote->priced) return;
    for (size_t i = 0; i < quote->options.count; i++)
        if (span_eq(quote->options.items[i].id, change->option)) refusal->reason = NULL;
    if (refusal->reason) return;
    cart->option = change->option;
    cart->options_changed = true;
}
