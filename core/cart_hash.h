/* cart_hash.h: a cart as C works with it, from the fields of its hash and back to them. */
#ifndef PERIGEE_CART_HASH_H
#define PERIGEE_CART_HASH_H
#include "base/arena.h"
#include "base/cache_ops.h"
#include "tenant/price.h"

/* One field "item:<product id>". */
typedef struct cart_item {
    span_t product_id, sku, name;
    span_t price; /* of one, in the currency's major unit, as a JSON number */
    int64_t quantity, position;
    span_t stored; /* its JSON in the hash; empty: it is not there yet */
    bool changed;
} cart_item_t;

/* Everything lives in the arena. */
typedef struct cart {
    arena_t *arena;
    int64_t version; /* 0: there is none yet */
    span_t id, updated_at, option;
    span_t codes_json, address_json; /* empty: none */
    const span_t *codes;
    size_t ncodes;
    const value_t *address; /* NULL: none */
    cart_item_t *items;     /* by position */
    size_t count, cap;
    span_t *gone; /* ids of items that were taken out */
    size_t ngone;
    bool options_changed; /* codes, address or option */
} cart_t;

/* Fills a cleared cart from a hash. Texts are copied into the arena. An item that is not as it should be is passed
   over: it is somebody else's mistake, and no reason to lose the others. 0 or ERR_NO_MEMORY. */
int cart_read(cart_t *cart, arena_t *arena, const cache_cart_load_t *load);
/* The item of a product, or NULL. */
cart_item_t *cart_find(const cart_t *cart, span_t product_id);
/* A new item at the end; NULL when out of memory. */
cart_item_t *cart_append(cart_t *cart, span_t product_id);
void cart_remove(cart_t *cart, cart_item_t *item);
/* Codes or address from their JSON, as the hash holds them; copied. ERR_NO_MEMORY, ERR_BAD_JSON. */
int cart_set_codes(cart_t *cart, span_t json);
int cart_set_address(cart_t *cart, span_t json);
/* Fills set, nset, unset, nunset and version of a save: what differs from the hash, the quote's amounts (none when it
   is not priced), and the time. A new cart gets its id. Texts and lists live in the arena. 0 or ERR_NO_MEMORY. */
int cart_write(cart_t *cart, const quote_t *quote, int digits, cache_cart_save_t *save);

#endif
