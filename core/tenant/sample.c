/* sample.c: reads a sample cart from its JSON; every wrong field is named. */
#include "tenant/sample.h"
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>

#define CODES_MAX 100
#define NOW_DEFAULT                                                                                \
    INT64_C(                                                                                       \
        1732183200000) /* 2024-11-21T10:00:00Z: a sample without a time prices the same every day */

const char *const EXPECT_NAMES[EXPECT_AMOUNTS] = {
    "subtotal", "discount", "shipping", "tax", "total"};

typedef struct reader {
    const settings_t *settings;
    arena_t *arena;
    sample_t *sample;
    char *why;
    size_t size;
} reader_t;

static int refuse(reader_t *reader, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(reader->why, reader->size, format, args);
    va_end(args);
    return ERR_INVALID;
}

static const value_t *field(const value_t *table, const char *name, const char *other) {
    const value_t *value = value_field(table, name);
    if (!value && other) value = value_field(table, other);
    return value && value->kind != VALUE_NIL ? value : NULL;
}

static span_t text_of(const value_t *table, const char *name, const char *other) {
    const value_t *value = field(table, name, other);
    return value && value->kind == VALUE_STRING ? value->string : (span_t){"", 0};
}

/* A decimal in the currency: 29.99, "29.99" or 30. */
static int read_amount(reader_t *reader, const value_t *value, const char *where, int64_t *out) {
    char text[24];
    span_t decimal = {text, 0};
    if (value && value->kind == VALUE_STRING)
        decimal = value->string;
    else if (value && value->kind == VALUE_INT)
        decimal.len = (size_t)snprintf(text, sizeof(text), "%lld", (long long)value->integer);
    if (decimal.len && money_parse(decimal, reader->settings->digits, out) == 0) return 0;
    return refuse(reader, "%s must be an amount of %s with at most %d decimals", where,
        reader->settings->currency, reader->settings->digits);
}

static int read_count(reader_t *reader, const value_t *value, const char *where, int64_t least,
    int64_t fallback, int64_t *out) {
    *out = fallback;
    if (!value) return 0;
    if (value->kind != VALUE_INT || value->integer < least || value->integer > 1000000000)
        return refuse(reader, "%s must be a whole number, %lld or more", where, (long long)least);
    *out = value->integer;
    return 0;
}

/* A table, or an empty list, which is what JSON's {} looks like. */
static int read_table(
    reader_t *reader, const value_t *from, const char *name, const value_t **out) {
    *out = field(from, name, NULL);
    if (!*out || (*out)->kind == VALUE_TABLE) return 0;
    if ((*out)->kind == VALUE_LIST && (*out)->list.count == 0) return 0;
    return refuse(reader, "%s must be an object", name);
}

static int read_category(reader_t *reader, const value_t *item, price_line_t *line) {
    const value_t *category = field(item, "category", NULL);
    if (!category || category->kind == VALUE_LIST) {
        line->category = category;
        return 0;
    }
    if (category->kind != VALUE_STRING) return refuse(reader, "category must be a list of texts");
    value_t *list = arena_zalloc(reader->arena, sizeof(value_t));
    if (!list) return refuse(reader, "out of memory");
    list->kind = VALUE_LIST;
    list->list.items = (value_t *)category;
    list->list.count = 1;
    line->category = list;
    return 0;
}

/* Every field of a sample and of an answer of GET /api/cart. */
static const char *const LINE_FIELDS[] = {"productId", "id", "sku", "name", "price", "quantity",
    "weightGrams", "weight_grams", "category", "attributes", "subtotal", "priceChanged",
    "unavailable", "available", NULL};
static const char *const CART_FIELDS[] = {"items", "codes", "now", "customer", "address",
    "shippingAddress", "option", "shippingOption", "channel", "seed", "expect", "id", "version",
    "currency", "updatedAt", "priced", "ruleEdition", "reason", "subtotal", "discount", "shipping",
    "tax", "taxIncluded", "total", "discounts", "taxLines", "shippingOptions", "violations",
    "explain", NULL};

/* A misspelt field would be read as one that is not there, and the sample try something else than it says. */
static int read_names(reader_t *reader, const value_t *table, const char *const *known) {
    for (size_t i = 0; i < table->table.count; i++) {
        span_t key = table->table.pairs[i].key;
        const char *const *name = known;
        while (*name && !span_eq(key, span_of(*name)))
            name++;
        if (!*name)
            return refuse(
                reader, "unknown field \"%.*s\"", (int)(key.len < 60 ? key.len : 60), key.ptr);
    }
    return 0;
}

static int read_line(reader_t *reader, const value_t *item, price_line_t *line) {
    if (item->kind != VALUE_TABLE) return refuse(reader, "must be an object");
    int err = read_names(reader, item, LINE_FIELDS);
    if (err) return err;
    line->product_id = text_of(item, "productId", "id");
    line->sku = text_of(item, "sku", NULL);
    line->name = text_of(item, "name", NULL);
    if (!line->product_id.len) line->product_id = line->sku;
    err = read_amount(reader, field(item, "price", NULL), "price", &line->price);
    if (!err)
        err = read_count(reader, field(item, "quantity", NULL), "quantity", 1, 1, &line->quantity);
    if (!err)
        err = read_count(reader, field(item, "weightGrams", "weight_grams"), "weightGrams", 0, 0,
            &line->weight_grams);
    if (!err) err = read_category(reader, item, line);
    return err ? err : read_table(reader, item, "attributes", &line->attributes);
}

static int read_lines(reader_t *reader, const value_t *root) {
    const value_t *items = field(root, "items", NULL);
    if (!items || items->kind != VALUE_LIST) return refuse(reader, "items must be a list of lines");
    size_t count = items->list.count;
    if (count > PRICE_LINES_MAX) return refuse(reader, "items has over %d lines", PRICE_LINES_MAX);
    price_line_t *lines = arena_zalloc(reader->arena, (count + 1) * sizeof(price_line_t));
    if (!lines) return refuse(reader, "out of memory");
    for (size_t i = 0; i < count; i++) {
        int err = read_line(reader, &items->list.items[i], &lines[i]);
        if (!err) continue;
        char rest[160];
        snprintf(rest, sizeof(rest), "%.150s", reader->why);
        refuse(reader, "items %zu: %s", i + 1, rest);
        return err;
    }
    reader->sample->input.lines = lines;
    reader->sample->input.nlines = count;
    return 0;
}

static int read_codes(reader_t *reader, const value_t *root) {
    const value_t *list = field(root, "codes", NULL);
    if (!list) return 0;
    if (list->kind != VALUE_LIST || list->list.count > CODES_MAX)
        return refuse(reader, "codes must be a list of at most %d texts", CODES_MAX);
    span_t *codes = arena_alloc(reader->arena, (list->list.count + 1) * sizeof(span_t));
    if (!codes) return refuse(reader, "out of memory");
    for (size_t i = 0; i < list->list.count; i++) {
        if (list->list.items[i].kind != VALUE_STRING) return refuse(reader, "codes must be texts");
        codes[i] = list->list.items[i].string;
    }
    reader->sample->input.codes = codes;
    reader->sample->input.ncodes = list->list.count;
    return 0;
}

static int read_now(reader_t *reader, const value_t *root) {
    const value_t *now = field(root, "now", NULL);
    reader->sample->input.now_ms = NOW_DEFAULT;
    if (!now) return 0;
    if (now->kind == VALUE_STRING &&
        clock_parse_iso(now->string, &reader->sample->input.now_ms) == 0)
        return 0;
    return refuse(reader, "now must be a time such as \"2024-11-21T10:00:00Z\"");
}

static int read_expected(reader_t *reader, const value_pair_t *pair) {
    sample_t *sample = reader->sample;
    for (int i = 0; i < EXPECT_AMOUNTS; i++) {
        if (!span_eq(pair->key, span_of(EXPECT_NAMES[i]))) continue;
        sample->given |= 1U << i;
        return read_amount(reader, pair->value, EXPECT_NAMES[i], &sample->amounts[i]);
    }
    if (!span_eq(pair->key, SPAN("violations")))
        return refuse(reader,
            "expect has the unknown name \"%.*s\"; known are subtotal, discount, shipping, tax, "
            "total, "
            "violations",
            (int)(pair->key.len < 40 ? pair->key.len : 40), pair->key.ptr);
    if (pair->value->kind != VALUE_LIST)
        return refuse(reader, "expect.violations must be a list of codes");
    sample->violations = pair->value;
    return 0;
}

static int read_expect(reader_t *reader, const value_t *root) {
    const value_t *expect;
    int err = read_table(reader, root, "expect", &expect);
    if (err || !expect || expect->kind != VALUE_TABLE) return err;
    for (size_t i = 0; i < expect->table.count && !err; i++)
        err = read_expected(reader, &expect->table.pairs[i]);
    return err;
}

static int read_seed(reader_t *reader, const value_t *root) {
    int64_t seed;
    int err = read_count(reader, field(root, "seed", NULL), "seed", 0, 0, &seed);
    price_input_t *input = &reader->sample->input;
    input->seed = field(root, "seed", NULL) ? (uint64_t)seed : price_seed(input);
    return err;
}

static int read_all(reader_t *reader, const value_t *root) {
    if (root->kind != VALUE_TABLE) return refuse(reader, "a cart is an object with items");
    price_input_t *input = &reader->sample->input;
    input->option = text_of(root, "option", "shippingOption");
    input->channel = text_of(root, "channel", NULL);
    int err = read_names(reader, root, CART_FIELDS);
    if (!err) err = read_lines(reader, root);
    if (!err) err = read_codes(reader, root);
    if (!err) err = read_now(reader, root);
    if (!err) err = read_table(reader, root, "customer", &input->customer);
    if (!err) err = read_table(reader, root, "address", &input->address);
    if (!err && !input->address) err = read_table(reader, root, "shippingAddress", &input->address);
    if (!err) err = read_seed(reader, root);
    return err ? err : read_expect(reader, root);
}

int sample_parse(span_t json, const settings_t *settings, arena_t *arena, sample_t *out, char *why,
    size_t size) {
    static const value_limits_t LIMITS = {.depth = 16, .nodes = 100000, .bytes = 1024 * 1024};
    reader_t reader = {settings, arena, out, why, size};
    value_t *root = arena_zalloc(arena, sizeof(value_t));
    *out = (sample_t){0};
    if (!root) return refuse(&reader, "out of memory");
    int err = value_parse(json, arena, &LIMITS, true, root, why, size);
    return err ? err : read_all(&reader, root);
}
