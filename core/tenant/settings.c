/* settings.c: reads a tenant's document into the settings that C works with; every wrong field is named. */
#include "tenant/settings.h"
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Fields of document.settings that are amounts in the document ("50.00") and minor units for rules. */
static const char *const AMOUNTS[] = {"freeShippingThreshold", "shippingRate"};
#define AMOUNTS_COUNT (sizeof(AMOUNTS) / sizeof(*AMOUNTS))
static const char DEFAULT_SHIPPING[] = "5.00";

typedef struct reader {
    settings_t *settings;
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

static bool copy_value(arena_t *arena, const value_t *from, value_t *to);

static bool copy_span(arena_t *arena, span_t from, span_t *to) {
    char *text = arena_dup(arena, from.len ? from.ptr : "", from.len);
    *to = (span_t){text, from.len};
    return text != NULL;
}

static bool copy_list(arena_t *arena, const value_t *from, value_t *to) {
    to->list.items = arena_zalloc(arena, (from->list.count + 1) * sizeof(value_t));
    if (!to->list.items) return false;
    for (size_t i = 0; i < from->list.count; i++)
        if (!copy_value(arena, &from->list.items[i], &to->list.items[i])) return false;
    return true;
}

static bool copy_table(arena_t *arena, const value_t *from, value_t *to) {
    size_t count = from->table.count;
    to->table.pairs = arena_zalloc(arena, (count + 1) * sizeof(value_pair_t));
    value_t *values = arena_zalloc(arena, (count + 1) * sizeof(value_t));
    if (!to->table.pairs || !values) return false;
    for (size_t i = 0; i < count; i++) {
        to->table.pairs[i].value = &values[i];
        if (!copy_span(arena, from->table.pairs[i].key, &to->table.pairs[i].key)) return false;
        if (!copy_value(arena, from->table.pairs[i].value, &values[i])) return false;
    }
    return true;
}

/* The depth is the packer's, which is limited. */
static bool copy_value(arena_t *arena, const value_t *from, value_t *to) {
    *to = *from;
    if (from->kind == VALUE_STRING) return copy_span(arena, from->string, &to->string);
    if (from->kind == VALUE_LIST) return copy_list(arena, from, to);
    if (from->kind == VALUE_TABLE) return copy_table(arena, from, to);
    return true;
}

/* The decimal text of a field that is a string, a number or absent (then *out is empty). */
static int read_decimal(reader_t *reader, const char *name, span_t *out) {
    const value_t *value = value_field(&reader->settings->settings, name);
    *out = (span_t){"", 0};
    if (!value || value->kind == VALUE_NIL) return 0;
    if (value->kind == VALUE_STRING) {
        *out = value->string;
        return out->len ? 0 : refuse(reader, "settings.%s is empty; write a decimal", name);
    }
    char *text = NULL;
    rate_t rate;
    if (value->kind == VALUE_INT)
        text = arena_printf(&reader->settings->arena, "%lld", (long long)value->integer);
    else if (value->kind == VALUE_NUMBER && rate_of_double(value->number, &rate) == 0)
        text = arena_printf(&reader->settings->arena, "%.15g", value->number);
    else
        return refuse(reader, "settings.%s must be a decimal", name);
    *out = span_of(text ? text : "");
    return text ? 0 : refuse(reader, "out of memory");
}

static int read_text(
    reader_t *reader, const value_t *table, const char *name, const char *fallback, span_t *out) {
    const value_t *value = value_field(table, name);
    *out = span_of(fallback);
    if (!value || value->kind == VALUE_NIL) return 0;
    if (value->kind != VALUE_STRING) return refuse(reader, "%s must be text", name);
    *out = value->string;
    return 0;
}

static int read_choice(
    reader_t *reader, const char *name, const char *first, const char *second, bool *is_second) {
    span_t text;
    int err = read_text(reader, &reader->settings->settings, name, first, &text);
    if (err) return err;
    *is_second = span_eq(text, span_of(second));
    if (*is_second || span_eq(text, span_of(first))) return 0;
    return refuse(reader, "settings.%s must be \"%s\" or \"%s\"", name, first, second);
}

static int read_names(reader_t *reader) {
    settings_t *settings = reader->settings;
    const value_t *document = &settings->document;
    int err = read_text(reader, document, "id", "", &settings->id);
    if (!err) err = read_text(reader, document, "slug", "", &settings->slug);
    if (!err) err = read_text(reader, document, "name", "", &settings->name);
    if (!err) err = read_text(reader, document, "subdomain", "", &settings->subdomain);
    if (!err) err = read_text(reader, document, "customDomain", "", &settings->custom_domain);
    if (!settings->slug.len) settings->slug = settings->subdomain;
    return err;
}

static int read_currency(reader_t *reader) {
    span_t code;
    int err = read_text(reader, &reader->settings->settings, "currency", "USD", &code);
    if (err) return err;
    int digits = code.len == 3 ? currency_digits(code) : -1;
    if (digits < 0)
        return refuse(reader, "settings.currency: \"%.*s\" is not an ISO 4217 code",
            (int)(code.len < 32 ? code.len : 32), code.ptr);
    memcpy(reader->settings->currency, code.ptr, 3);
    reader->settings->digits = digits;
    return 0;
}

static int read_zone(reader_t *reader) {
    span_t name;
    int err = read_text(reader, &reader->settings->settings, "timeZone", "UTC", &name);
    if (err || zone_open(name, &reader->settings->zone) == 0) return err;
    return refuse(reader, "settings.timeZone: \"%.*s\" is not a time zone",
        (int)(name.len < 64 ? name.len : 64), name.ptr);
}

static int read_choices(reader_t *reader) {
    bool even = false, order = false, refuse_all = false;
    int err = read_choice(reader, "rounding", "half-up", "half-even", &even);
    if (!err) err = read_choice(reader, "taxRounding", "line", "order", &order);
    if (!err) err = read_choice(reader, "onRuleError", "last_good", "refuse", &refuse_all);
    reader->settings->rounding = even ? MONEY_HALF_EVEN : MONEY_HALF_UP;
    reader->settings->round_per_order = order;
    reader->settings->on_rule_error = refuse_all ? ON_RULE_ERROR_REFUSE : ON_RULE_ERROR_LAST_GOOD;
    return err;
}

static int read_amount(reader_t *reader, const char *name, value_t *out) {
    span_t text;
    int err = read_decimal(reader, name, &text);
    if (err) return err;
    out->kind = VALUE_NIL;
    if (!text.len && strcmp(name, "shippingRate") != 0) return 0;
    bool fallback = !text.len;
    if (fallback) text = SPAN(DEFAULT_SHIPPING);
    err = money_parse(text, reader->settings->digits, &out->integer);
    if (!err && fallback && reader->settings->digits == 0) out->integer = 500;
    if (err || out->integer < 0)
        return refuse(reader, "settings.%s: \"%.*s\" is not an amount of %s", name,
            (int)(text.len < 32 ? text.len : 32), text.ptr, reader->settings->currency);
    out->kind = VALUE_INT;
    return 0;
}

static int read_rate(reader_t *reader, value_t *out) {
    span_t text;
    int err = read_decimal(reader, "taxRate", &text);
    if (err) return err;
    if (!text.len) text = SPAN("0");
    rate_t rate;
    if (rate_parse(text, &rate) || rate.units < 0)
        return refuse(reader, "settings.taxRate: \"%.*s\" is not a decimal rate such as 0.09",
            (int)(text.len < 32 ? text.len : 32), text.ptr);
    *out = (value_t){.kind = VALUE_STRING, .string = text};
    return 0;
}

typedef struct addition {
    const char *name;
    value_t value;
} addition_t;

static const addition_t *find_addition(const addition_t *list, size_t count, span_t name) {
    for (size_t i = 0; i < count; i++)
        if (span_eq(name, span_of(list[i].name))) return &list[i];
    return NULL;
}

static int by_key(const void *a, const void *b) {
    span_t left = ((const value_pair_t *)a)->key, right = ((const value_pair_t *)b)->key;
    size_t len = left.len < right.len ? left.len : right.len;
    int order = len ? memcmp(left.ptr, right.ptr, len) : 0;
    return order ? order : (left.len > right.len) - (left.len < right.len);
}

/* settings.settings with the fields in `list` (names and values that live in the arena) put over it. */
static int overlay(reader_t *reader, const addition_t *list, size_t count) {
    const value_t *from = &reader->settings->settings;
    size_t had = from->kind == VALUE_TABLE ? from->table.count : 0, n = 0;
    value_pair_t *pairs =
        arena_zalloc(&reader->settings->arena, (had + count) * sizeof(value_pair_t));
    if (!pairs) return refuse(reader, "out of memory");
    for (size_t i = 0; i < had; i++)
        if (!find_addition(list, count, from->table.pairs[i].key))
            pairs[n++] = from->table.pairs[i];
    for (size_t i = 0; i < count; i++)
        if (list[i].value.kind != VALUE_NIL)
            pairs[n++] = (value_pair_t){span_of(list[i].name), &list[i].value};
    qsort(pairs, n, sizeof(value_pair_t), by_key);
    reader->settings->for_rules.kind = VALUE_TABLE;
    reader->settings->for_rules.table.pairs = pairs;
    reader->settings->for_rules.table.count = n;
    return 0;
}

/* What rules see as ctx.tenant.settings: amounts in minor units, the rate as exact text, the defaults filled in. */
static int make_for_rules(reader_t *reader) {
    size_t count = AMOUNTS_COUNT + 2;
    addition_t *list = arena_zalloc(&reader->settings->arena, count * sizeof(addition_t));
    if (!list) return refuse(reader, "out of memory");
    int err = 0;
    for (size_t i = 0; i < AMOUNTS_COUNT && !err; i++) {
        list[i].name = AMOUNTS[i];
        err = read_amount(reader, AMOUNTS[i], &list[i].value);
    }
    list[AMOUNTS_COUNT].name = "taxRate";
    if (!err) err = read_rate(reader, &list[AMOUNTS_COUNT].value);
    list[AMOUNTS_COUNT + 1].name = "currency";
    list[AMOUNTS_COUNT + 1].value =
        (value_t){.kind = VALUE_STRING, .string = span_of(reader->settings->currency)};
    return err ? err : overlay(reader, list, count);
}

static int read_limit(reader_t *reader, const value_pair_t *pair, settings_limit_t *out) {
    char why[200] = "must be text such as 600/60s";
    int name = (int)(pair->key.len < 64 ? pair->key.len : 64);
    bool text = pair->value->kind == VALUE_STRING;
    out->name = pair->key;
    if (text && rate_read(pair->value->string, &out->rate, why, sizeof why) == 0) return 0;
    return refuse(reader, "settings.rateLimits[\"%.*s\"]: %s", name, pair->key.ptr, why);
}

static int read_limits(reader_t *reader) {
    settings_t *settings = reader->settings;
    const value_t *table = value_field(&settings->settings, "rateLimits");
    bool empty =
        !table || table->kind == VALUE_NIL || (table->kind == VALUE_LIST && table->list.count == 0);
    if (empty) return 0;
    if (table->kind != VALUE_TABLE)
        return refuse(reader, "settings.rateLimits must be an object of routes and rates");
    size_t count = table->table.count;
    settings_limit_t *limits = arena_zalloc(&settings->arena, (count + 1) * sizeof *limits);
    if (!limits) return refuse(reader, "out of memory");
    settings->limits = limits;
    settings->nlimits = count;
    int err = 0;
    for (size_t i = 0; i < count && !err; i++)
        err = read_limit(reader, &table->table.pairs[i], &limits[i]);
    return err;
}

static int read_all(reader_t *reader, const value_t *document) {
    settings_t *settings = reader->settings;
    if (document->kind != VALUE_TABLE)
        return refuse(reader, "the tenant's document must be an object");
    if (!copy_value(&settings->arena, document, &settings->document))
        return refuse(reader, "out of memory");
    const value_t *inner = value_field(&settings->document, "settings");
    if (inner && inner->kind == VALUE_TABLE) settings->settings = *inner;
    bool empty = !inner || inner->kind == VALUE_NIL || inner->kind == VALUE_TABLE ||
                 (inner->kind == VALUE_LIST && inner->list.count == 0);
    if (!empty) return refuse(reader, "settings must be an object");
    int err = read_names(reader);
    if (!err) err = read_currency(reader);
    if (!err) err = read_zone(reader);
    if (!err) err = read_choices(reader);
    if (!err) err = read_limits(reader);
    return err ? err : make_for_rules(reader);
}

settings_t *settings_new(const value_t *document, char *why, size_t size) {
    settings_t *settings = calloc(1, sizeof(settings_t));
    reader_t reader = {settings, why, size};
    if (!settings) {
        refuse(&reader, "out of memory");
        return NULL;
    }
    settings->refs = 1;
    arena_create(&settings->arena);
    if (read_all(&reader, document) == 0) return settings;
    settings_unref(settings);
    return NULL;
}

settings_t *settings_ref(settings_t *settings) {
    settings->refs++;
    return settings;
}

void settings_unref(settings_t *settings) {
    if (!settings || --settings->refs > 0) return;
    arena_destroy(&settings->arena);
    free(settings);
}
