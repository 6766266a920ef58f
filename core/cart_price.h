/* cart_price.h: the products behind a cart's items, and the cart priced with them by its tenant's rules. */
#ifndef PERIGEE_CART_PRICE_H
#define PERIGEE_CART_PRICE_H
#include "cart_hash.h"
#include "tenant/tenant.h"

/* A product as the store has it now. */
typedef struct cart_product {
    span_t id, sku, name;
    span_t price; /* a JSON number */
    bool sold;    /* it is there, and on sale */
    bool endless; /* may be ordered beyond its stock */
    int64_t stock, weight_grams;
    const value_t *category, *attributes;
} cart_product_t;
/* By id. */
typedef struct cart_products {
    cart_product_t *items;
    size_t count;
} cart_products_t;

/* From a table { [id] = product, or false for one that was looked for in vain }; copied into the arena. ERR_INVALID
   with a sentence, ERR_NO_MEMORY. Raises nothing that leaks: all memory is the arena's. */
int cart_products_read(
    lua_State *L, int index, arena_t *arena, cart_products_t *out, char *why, size_t size);
const cart_product_t *cart_product(const cart_products_t *products, span_t id);

/* A cart priced. The quote and lines live in the arena. */
typedef struct cart_priced {
    int digits;
    quote_t quote;
    const span_t *lines; /* the product of each priced line */
    size_t nlines;
} cart_priced_t;

/* Prices the items that can be bought now, at today's prices. Nothing to buy costs nothing, whatever the rules say of
   shipping. 0 also when it could not be priced (quote.priced), by the rules or because a price has more digits than
   the currency; ERR_NOT_FOUND without such a tenant, ERR_UNAVAILABLE without its settings, ERR_INVALID for a price
   that is none anywhere; with a sentence. */
int cart_price(tenants_t *tenants, span_t slug, const cart_t *cart, const cart_products_t *products,
    arena_t *arena, cart_priced_t *out, char *why, size_t size);

#endif
