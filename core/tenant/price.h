/* price.h: one priced answer: a cart and its context in, a quote out; plain data on both sides. */
#ifndef PERIGEE_TENANT_PRICE_H
#define PERIGEE_TENANT_PRICE_H
#include "lua/sandbox.h"
#include "tenant/edition.h"
#include "tenant/settings.h"

#define PRICE_LINES_MAX 1000

/* One line of a cart. The texts and values live as long as the input. */
typedef struct price_line {
    span_t product_id, sku, name;
    int64_t price;    /* of one, minor units, 0 or more */
    int64_t quantity; /* 1 to 1,000,000 */
    int64_t weight_grams;
    const value_t *category;   /* list of texts; NULL for none, or for input->part to fetch */
    const value_t *attributes; /* table of plain values, the same */
} price_line_t;
typedef enum { PART_CATEGORY, PART_ATTRIBUTES } price_part_t;

typedef struct price_input {
    const price_line_t *lines;
    size_t nlines; /* at most PRICE_LINES_MAX */
    const span_t *codes;
    size_t ncodes;
    const value_t *address;  /* table (country, state, city, postalCode), or NULL */
    const value_t *customer; /* table (id, email, group, tags, orders), or NULL for a guest */
    span_t option;           /* the chosen shipping option, or empty */
    span_t channel;          /* "web" when empty */
    int64_t now_ms;          /* wall clock */
    uint64_t seed;           /* of math.random and ctx.seed; see price_seed */
    /* Fetches what a line does not hold yet, when a rule reads it: NULL for none. May be NULL itself. Raises
       nothing. */
    const value_t *(*part)(void *data, size_t line, price_part_t part);
    void *data;
} price_input_t;

typedef struct quote_discount {
    span_t reason, code;
    int64_t amount; /* what the customer saves; a surcharge is negative */
} quote_discount_t;
typedef struct quote_option {
    span_t id, name;
    int64_t amount;
    int days; /* -1 when not said */
} quote_option_t;
typedef struct quote_tax {
    span_t name, rate; /* rate as a fraction: "0.0825" */
    int64_t amount;
    bool inclusive;
} quote_tax_t;
typedef struct quote_violation {
    span_t code, message;
    int line; /* from 1; 0 for the whole order */
} quote_violation_t;
/* One change: which rule changed which line by how much and why. */
typedef struct quote_entry {
    rule_kind_t rule;
    int line; /* from 1; 0 for none */
    bool order, shipping, inclusive;
    int64_t
        amount; /* minor units, signed as it changes the total; an inclusive tax is only reported */
    span_t reason, code;
} quote_entry_t;

/* A list that grows in the quote's arena. */
#define QUOTE_LIST(type)                                                                           \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count, cap;                                                                         \
    }

/* subtotal - discount + shipping + tax == total has been proved whenever priced is true. */
typedef struct quote {
    bool priced;
    int err;                 /* why it is not priced: ERR_UNAVAILABLE, ERR_BUSY, … */
    span_t reason;           /* a sentence for shoppers; set when not priced */
    uint64_t retry_after_ms; /* with ERR_BUSY or a resting edition; else 0 */
    int64_t subtotal, discount, shipping, total;
    int64_t tax;                         /* exclusive: added */
    int64_t tax_included;                /* inclusive: contained in the prices, reported only */
    int64_t *line_subtotals, *line_nets; /* per line, before and after discounts */
    size_t nlines;
    bool shippable;         /* false when the rule offers no way to ship there */
    span_t shipping_option; /* the id taken, or empty */
    QUOTE_LIST(quote_discount_t) discounts;
    QUOTE_LIST(quote_option_t) options;
    QUOTE_LIST(quote_tax_t) taxes;
    QUOTE_LIST(quote_violation_t) violations;
    QUOTE_LIST(quote_entry_t) explain;
    char edition[65]; /* the hash of the edition that priced it */
    bool fell_back;   /* the last good edition priced it, because `fault` stopped the current one */
    sandbox_fault_t fault;
    sandbox_usage_t usage;
} quote_t;

/* An edition's four rules, loaded into a sandbox of their own. */
typedef struct rules rules_t;
/* Parses the edition's files; keeps a reference to the edition. `tail` receives log(...) lines and may be NULL. 0, or
   fault filled. Parsing cannot be interrupted: a worker loads only text that a trial run has parsed before. */
int rules_open(edition_t *edition, loop_t *loop, const sandbox_limits_t *limits,
    void (*tail)(void *data, span_t line), void *data, rules_t **out, sandbox_fault_t *fault);
void rules_close(rules_t *rules);
/* True once the VM must be replaced. */
bool rules_spent(const rules_t *rules);
edition_t *rules_edition(const rules_t *rules);
sandbox_t *rules_sandbox(const rules_t *rules);
/* For trial runs: called with what each rule returned at the top of the stack, protected, before it is read. */
void rules_observe(
    rules_t *rules, void (*observe)(void *data, rule_kind_t stage, lua_State *L), void *data);

/* Prices: pricing, shipping, tax, checkout under one budget, then the proof. Everything in the quote lives in the
   arena, or in the input, which must live as long. 0 with quote->priced; or an error with the fault filled and
   quote->priced false. The same rules, settings and input give the same quote. */
int price_quote(rules_t *rules, const settings_t *settings, const price_input_t *input,
    arena_t *arena, quote_t *quote, sandbox_fault_t *fault);
/* A seed made of the cart's content, for callers that have none of their own: 53 bits, the same for the same cart. */
uint64_t price_seed(const price_input_t *input);
/* The quote as JSON with decimal amounts; explain as asked. */
void quote_json(const quote_t *quote, const settings_t *settings, bool explain, buf_t *out);

#endif
