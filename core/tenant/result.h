/* result.h: what each stage's rule may return, read from the Lua stack with raw access and exact checks. */
#ifndef PERIGEE_TENANT_RESULT_H
#define PERIGEE_TENANT_RESULT_H
#include "lua/sandbox.h"
#include "tenant/price.h"

typedef enum { ADJUST_PERCENT, ADJUST_AMOUNT, ADJUST_UNIT_PRICE } adjust_t;
typedef struct adjustment {
    int line; /* from 1; 0 when order */
    bool order, stop;
    adjust_t by;
    rate_t percent;
    int64_t amount, unit_price;
    span_t reason, code;
} adjustment_t;

typedef struct tax_item {
    int line; /* from 1; 0 when shipping */
    bool shipping, inclusive;
    rate_t rate, percent;
    int divisor;      /* 1: `rate` holds a fraction; 100: `rate` holds a percentage */
    int64_t fraction; /* the same as units of 1e-11 */
    span_t name;
} tax_item_t;

/* A stage's result in the arena; `items` is of the stage's type: adjustment_t, quote_option_t, tax_item_t or
   quote_violation_t. */
typedef struct result {
    arena_t *arena;
    size_t nlines; /* of the cart */
    void *items;
    size_t count;
} result_t;

/* Reads the value at the top of the stack. nil is an empty list. 0, or ERR_BAD_RESULT with a sentence in why that
   names the element and the field. Runs no metamethod and allocates nothing in the VM beyond the stack. */
int result_read(lua_State *L, rule_kind_t kind, result_t *result, char *why, size_t size);

#endif
