/* sheet.h: the arithmetic of a priced answer: the engine's, never the rule's. */
#ifndef PERIGEE_TENANT_SHEET_H
#define PERIGEE_TENANT_SHEET_H
#include "tenant/result.h"

typedef struct sheet {
    const settings_t *settings;
    const price_input_t *input;
    arena_t *arena;
    quote_t *quote;
    char *why; /* a sentence for any error below */
    size_t size;
} sheet_t;

/* Opens the lines: price x quantity. ERR_INVALID or ERR_RANGE for a cart that cannot be. */
int sheet_open(sheet_t *sheet);
/* Applies in order; order-wide amounts are split by largest remainder; a line stops at 0 and its entry says so. */
int sheet_adjust(sheet_t *sheet, const adjustment_t *items, size_t count);
/* Takes the chosen option, else the first; none is "cannot ship there". */
int sheet_ship(sheet_t *sheet, const quote_option_t *items, size_t count);
/* Computes each tax and rounds per line or per order. */
int sheet_tax(sheet_t *sheet, const tax_item_t *items, size_t count);
/* Adds up what tax and checkout need as total. */
int sheet_total(sheet_t *sheet);
int sheet_violate(sheet_t *sheet, const quote_violation_t *items, size_t count);
/* The proof, from the entries of the explanation as from the sums: ERR_INTERNAL when anything does not agree. */
int sheet_prove(const sheet_t *sheet);

#endif
