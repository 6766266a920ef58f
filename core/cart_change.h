/* cart_change.h: one change of a cart as a script hands it over, applied to the cart or refused. */
#ifndef PERIGEE_CART_CHANGE_H
#define PERIGEE_CART_CHANGE_H
#include "cart_price.h"

typedef enum {
    CART_ADD,      /* pieces of a product, to its line when there is one */
    CART_QUANTITY, /* of a line */
    CART_REMOVE,   /* a line */
    CART_ADDRESS,
    CART_CODES,
    CART_OPTION /* one of those that the rules offer for this cart now */
} cart_change_kind_t;

typedef struct cart_change {
    cart_change_kind_t kind;
    span_t product_id;
    int64_t quantity;
    int64_t most_pieces, most_lines; /* of one line; of a cart */
    span_t json;                     /* the address, or the codes */
    span_t option;
} cart_change_t;

/* Why a change was refused: "not_sold", "no_line", "too_many_lines", "too_many_pieces", "insufficient_stock",
   "not_offered", "unpriced"; NULL: it was not. */
typedef struct cart_refusal {
    const char *reason;
    span_t sku;
    int64_t available;
} cart_refusal_t;

/* From a table { kind = "add", product_id =, quantity =, most_pieces =, most_lines =, json =, option = }; copied into
   the arena. ERR_INVALID with a sentence, ERR_NO_MEMORY. May raise; what it has then is the arena's. */
int cart_change_read(
    lua_State *L, int index, arena_t *arena, cart_change_t *out, char *why, size_t size);
/* Applies all but CART_OPTION, which the caller prices first, and takes on today's prices. Of a cart that was refused
   nothing may be written. 0, or ERR_NO_MEMORY, ERR_BAD_JSON. */
int cart_change_apply(const cart_change_t *change, cart_t *cart, const cart_products_t *products,
    cart_refusal_t *refusal);
/* Chooses the option if the quote offers it. */
void cart_change_option(
    const cart_change_t *change, cart_t *cart, const quote_t *quote, cart_refusal_t *refusal);

#endif
