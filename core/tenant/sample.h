/* sample.h: a cart written as JSON, for trial runs: what a merchant keeps in samples/ and gives to `perigee run`. */
#ifndef PERIGEE_TENANT_SAMPLE_H
#define PERIGEE_TENANT_SAMPLE_H
#include "tenant/price.h"

/* Totals that a sample expects; a field counts when its bit is set in `given`. */
typedef enum {
    EXPECT_SUBTOTAL,
    EXPECT_DISCOUNT,
    EXPECT_SHIPPING,
    EXPECT_TAX,
    EXPECT_TOTAL,
    EXPECT_AMOUNTS
} expect_t;
extern const char *const EXPECT_NAMES[EXPECT_AMOUNTS];

typedef struct sample {
    price_input_t input;
    unsigned given; /* 1 << expect_t */
    int64_t amounts[EXPECT_AMOUNTS];
    const value_t *violations; /* list of codes that checkout must give, in order, or NULL */
} sample_t;

/* {"items":[{"productId","sku","name","price":29.99,"quantity":2,"category":[],"attributes":{},"weightGrams":120}],
    "codes":[], "customer":{}, "address":{}, "option":"std", "channel":"web", "now":"2024-11-21T10:00:00Z", "seed":1,
    "expect":{"total":70.38, "violations":["min_order"]}}; only items is needed. Prices are decimals as in the API.
   The other fields of an answer of GET /api/cart are ignored, so that it is a sample; unknown names are refused.
   Everything lives in the arena. 0, or ERR_INVALID / ERR_BAD_JSON with a sentence. */
int sample_parse(
    span_t json, const settings_t *settings, arena_t *arena, sample_t *out, char *why, size_t size);

#endif
