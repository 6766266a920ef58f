/* result.c: turns a rule's table into C structs by a list of fields per stage; what is not listed is refused. */
#include "tenant/result.h"
#include "base/err.h"
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#define FRACTION_DIGITS 11
#define FRACTION_MAX INT64_C(1000000000000) /* ten times the base, in units of 1e-11 */
#define PERCENT_MAX 1000
#define ORDER_WIDE_MAX 20
#define OPTIONS_MAX 50
#define VIOLATIONS_MAX 50
#define TEXT_MAX 200

typedef enum {
    FIELD_LINE,
    FIELD_FLAG,
    FIELD_RATE,
    FIELD_AMOUNT,
    FIELD_TEXT,
    FIELD_DAYS
} field_type_t;
typedef struct field {
    const char *name;
    field_type_t type;
    size_t offset;
} field_t;

typedef struct shape {
    const char *noun;
    const field_t *fields;
    int nfields;
    size_t size; /* of the struct */
    int (*finish)(void *item, unsigned seen, char *why, size_t size);
} shape_t;

typedef struct reading {
    lua_State *L;
    const shape_t *shape;
    result_t *result;
    char *why;
    size_t size;
    size_t index; /* of the element, from 1 */
} reading_t;

static int complain(reading_t *reading, const char *format, ...) {
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (reading->index)
        snprintf(
            reading->why, reading->size, "%s %zu: %s", reading->shape->noun, reading->index, text);
    else
        snprintf(reading->why, reading->size, "%s", text);
    return ERR_BAD_RESULT;
}

/* What the value is, for people: its type, or the number or the start of the text. */
static const char *shown(lua_State *L, int at, char *out, size_t size) {
    if (lua_type(L, at) == LUA_TNUMBER)
        snprintf(out, size, "%.14g", lua_tonumber(L, at));
    else if (lua_type(L, at) == LUA_TSTRING)
        snprintf(out, size, "\"%.40s\"", lua_tostring(L, at));
    else if (lua_type(L, at) == LUA_TBOOLEAN)
        snprintf(out, size, "%s", lua_toboolean(L, at) ? "true" : "false");
    else
        snprintf(out, size, "a %s", lua_typename(L, lua_type(L, at)));
    return out;
}

/* A whole number within ±max. The comparison is written so that NaN fails it. */
static bool whole(lua_State *L, int at, double max, int64_t *out) {
    if (lua_type(L, at) != LUA_TNUMBER) return false;
    double number = lua_tonumber(L, at);
    if (!(number >= -max && number <= max) || number != floor(number)) return false;
    *out = (int64_t)number;
    return true;
}

static int read_line(reading_t *reading, const char *name, int *out) {
    int64_t line = 0;
    char text[64];
    if (whole(reading->L, -1, PRICE_LINES_MAX, &line) && line >= 1 &&
        (size_t)line <= reading->result->nlines) {
        *out = (int)line;
        return 0;
    }
    return complain(reading, "%s must be the number of a line, 1 to %zu, not %s", name,
        reading->result->nlines, shown(reading->L, -1, text, sizeof(text)));
}

static int read_flag(reading_t *reading, const char *name, bool *out) {
    char text[64];
    if (lua_type(reading->L, -1) != LUA_TBOOLEAN)
        return complain(reading, "%s must be true or false, not %s", name,
            shown(reading->L, -1, text, sizeof(text)));
    *out = lua_toboolean(reading->L, -1);
    return 0;
}

/* Most rates have few digits: 10, 8.25. A decimal of at most 15 digits that reads back as the number is its
   shortest text, since no other one of that length does; so the text need not be made. */
static bool short_rate(double number, rate_t *out) {
    static const double TENS[] = {1, 10, 100, 1000, 10000};
    if (!(number > -1e9 && number < 1e9)) return false;
    for (int scale = 0; scale < 5; scale++) {
        double units = nearbyint(number * TENS[scale]);
        if (units / TENS[scale] != number) continue;
        *out = (rate_t){(int64_t)units, scale};
        return true;
    }
    return false;
}

static int read_number(double number, rate_t *out) {
    return short_rate(number, out) ? 0 : rate_of_double(number, out);
}

static int read_rate(reading_t *reading, const char *name, rate_t *out) {
    char text[64];
    int type = lua_type(reading->L, -1), err = ERR_INVALID;
    if (type == LUA_TNUMBER) err = read_number(lua_tonumber(reading->L, -1), out);
    if (type == LUA_TSTRING) {
        span_t span;
        span.ptr = lua_tolstring(reading->L, -1, &span.len);
        err = rate_parse(span, out);
    }
    if (err == 0) return 0;
    return complain(reading, "%s must be a decimal with at most 9 digits behind the point, not %s",
        name, shown(reading->L, -1, text, sizeof(text)));
}

static int read_amount(reading_t *reading, const char *name, int64_t *out) {
    char text[64];
    if (whole(reading->L, -1, (double)MONEY_MAX, out)) return 0;
    return complain(reading, "%s must be a whole number of minor units, not %s", name,
        shown(reading->L, -1, text, sizeof(text)));
}

static int read_text(reading_t *reading, const char *name, span_t *out) {
    char text[64];
    if (lua_type(reading->L, -1) != LUA_TSTRING)
        return complain(
            reading, "%s must be text, not %s", name, shown(reading->L, -1, text, sizeof(text)));
    size_t len;
    const char *ptr = lua_tolstring(reading->L, -1, &len);
    if (len == 0 || len > TEXT_MAX)
        return complain(reading, "%s must have 1 to %d bytes, not %zu", name, TEXT_MAX, len);
    if (memchr(ptr, 0, len) || !span_is_utf8((span_t){ptr, len}))
        return complain(reading, "%s is not UTF-8 text", name);
    *out = (span_t){arena_dup(reading->result->arena, ptr, len), len};
    return out->ptr ? 0 : complain(reading, "out of memory");
}

static int read_days(reading_t *reading, const char *name, int *out) {
    int64_t days = 0;
    char text[64];
    if (!whole(reading->L, -1, 3650, &days) || days < 0)
        return complain(reading, "%s must be a whole number of days, not %s", name,
            shown(reading->L, -1, text, sizeof(text)));
    *out = (int)days;
    return 0;
}

/* Reads the value at the top into the item. */
static int read_field(reading_t *reading, const field_t *field, void *item) {
    void *into = (char *)item + field->offset;
    switch (field->type) {
    case FIELD_LINE:
        return read_line(reading, field->name, into);
    case FIELD_FLAG:
        return read_flag(reading, field->name, into);
    case FIELD_RATE:
        return read_rate(reading, field->name, into);
    case FIELD_AMOUNT:
        return read_amount(reading, field->name, into);
    case FIELD_TEXT:
        return read_text(reading, field->name, into);
    case FIELD_DAYS:
        return read_days(reading, field->name, into);
    }
    return complain(reading, "the field %s has no reader", field->name);
}

/* The index of the field whose name is the key at `at`, or -1. */
static int find_field(reading_t *reading, int at) {
    if (lua_type(reading->L, at) != LUA_TSTRING) return -1;
    const char *name = lua_tostring(reading->L, at);
    for (int i = 0; i < reading->shape->nfields; i++) {
        const char *known = reading->shape->fields[i].name;
        if (name[0] == known[0] && strcmp(name, known) == 0) return i;
    }
    return -1;
}

static int unknown_field(reading_t *reading, const char *shown_key) {
    char known[120] = "";
    size_t len = 0;
    for (int i = 0; i < reading->shape->nfields && len < sizeof(known); i++)
        len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "",
            reading->shape->fields[i].name);
    return complain(reading, "unknown field %s; known are %s", shown_key, known);
}

/* One walk over the keys of the element at the top. */
static int read_fields(reading_t *reading, void *item, unsigned *seen) {
    lua_State *L = reading->L;
    int table = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int found = find_field(reading, -2);
        int err =
            found < 0 ? ERR_BAD_RESULT : read_field(reading, &reading->shape->fields[found], item);
        if (err) {
            lua_settop(L, table);
            return err;
        }
        *seen |= 1U << found;
        lua_pop(L, 1);
    }
    return 0;
}

/* The order of keys differs between two VMs. So that a rule is refused with the same words everywhere, the first
   unknown name is complained about, then the first wrong field in the order of the contract. */
static int name_fault(reading_t *reading, void *item) {
    lua_State *L = reading->L;
    int table = lua_gettop(L);
    char text[64], first[64] = "";
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (find_field(reading, -1) >= 0) continue;
        shown(L, -1, text, sizeof(text));
        if (!first[0] || strcmp(text, first) < 0) memcpy(first, text, sizeof(first));
    }
    if (first[0]) return unknown_field(reading, first);
    for (int i = 0; i < reading->shape->nfields; i++) {
        lua_pushstring(L, reading->shape->fields[i].name);
        lua_rawget(L, table);
        int err = lua_isnil(L, -1) ? 0 : read_field(reading, &reading->shape->fields[i], item);
        if (err) return err;
        lua_pop(L, 1);
    }
    return complain(reading, "cannot be read");
}

static int read_element(reading_t *reading, void *item) {
    char text[64];
    unsigned seen = 0;
    if (lua_type(reading->L, -1) != LUA_TTABLE)
        return complain(
            reading, "must be a table, not %s", shown(reading->L, -1, text, sizeof(text)));
    if (read_fields(reading, item, &seen)) return name_fault(reading, item);
    int err = reading->shape->finish(item, seen, text, sizeof(text));
    return err ? complain(reading, "%s", text) : 0;
}

static int say(char *why, size_t size, const char *sentence) {
    snprintf(why, size, "%s", sentence);
    return ERR_BAD_RESULT;
}

static bool within(rate_t rate, int64_t max) {
    int64_t one = 1;
    for (int i = 0; i < rate.scale; i++)
        one *= 10;
    __int128 bound = (__int128)max * one;
    return rate.units <= bound && rate.units >= -bound;
}

#define FIELD(type, kind, name)                                                                    \
    { #name, kind, offsetof(type, name) }

static const field_t PRICING[] = {
    FIELD(adjustment_t, FIELD_LINE, line),
    FIELD(adjustment_t, FIELD_FLAG, order),
    FIELD(adjustment_t, FIELD_RATE, percent),
    FIELD(adjustment_t, FIELD_AMOUNT, amount),
    FIELD(adjustment_t, FIELD_AMOUNT, unit_price),
    FIELD(adjustment_t, FIELD_TEXT, reason),
    FIELD(adjustment_t, FIELD_TEXT, code),
    FIELD(adjustment_t, FIELD_FLAG, stop),
};
enum { P_LINE = 1, P_ORDER = 2, P_PERCENT = 4, P_AMOUNT = 8, P_UNIT_PRICE = 16, P_REASON = 32 };

static int finish_adjustment(void *data, unsigned seen, char *why, size_t size) {
    adjustment_t *item = data;
    if (!(seen & P_LINE) == !item->order)
        return say(why, size, "needs either line=i or order=true");
    unsigned by = seen & (P_PERCENT | P_AMOUNT | P_UNIT_PRICE);
    if (by == P_PERCENT)
        item->by = ADJUST_PERCENT;
    else if (by == P_AMOUNT)
        item->by = ADJUST_AMOUNT;
    else if (by == P_UNIT_PRICE && !item->order)
        item->by = ADJUST_UNIT_PRICE;
    else if (by == P_UNIT_PRICE)
        return say(why, size, "unit_price needs line=i");
    else
        return say(why, size, "needs one of percent, amount, unit_price");
    if (by == P_PERCENT && !within(item->percent, PERCENT_MAX))
        return say(why, size, "percent must be within -1000 and 1000");
    if (item->unit_price < 0) return say(why, size, "unit_price must not be negative");
    return seen & P_REASON ? 0 : say(why, size, "needs a reason");
}

static const field_t SHIPPING[] = {
    FIELD(quote_option_t, FIELD_TEXT, id),
    FIELD(quote_option_t, FIELD_TEXT, name),
    FIELD(quote_option_t, FIELD_AMOUNT, amount),
    FIELD(quote_option_t, FIELD_DAYS, days),
};

static int finish_option(void *data, unsigned seen, char *why, size_t size) {
    quote_option_t *item = data;
    if ((seen & 7) != 7) return say(why, size, "needs id, name and amount");
    if (item->amount < 0) return say(why, size, "amount must not be negative");
    if (!(seen & 8)) item->days = -1;
    return 0;
}

static const field_t TAX[] = {
    FIELD(tax_item_t, FIELD_LINE, line),
    FIELD(tax_item_t, FIELD_FLAG, shipping),
    FIELD(tax_item_t, FIELD_RATE, rate),
    FIELD(tax_item_t, FIELD_RATE, percent),
    FIELD(tax_item_t, FIELD_TEXT, name),
    FIELD(tax_item_t, FIELD_FLAG, inclusive),
};
enum { T_LINE = 1, T_RATE = 4, T_PERCENT = 8, T_NAME = 16 };

static int finish_tax(void *data, unsigned seen, char *why, size_t size) {
    tax_item_t *item = data;
    if (!(seen & T_LINE) == !item->shipping)
        return say(why, size, "needs either line=i or shipping=true");
    unsigned by = seen & (T_RATE | T_PERCENT);
    if (by != T_RATE && by != T_PERCENT) return say(why, size, "needs either rate or percent");
    rate_t rate = by == T_RATE ? item->rate : item->percent;
    item->divisor = by == T_RATE ? 1 : 100;
    int digits = rate.scale + (by == T_RATE ? 0 : 2);
    if (rate.units < 0 || !within(rate, by == T_RATE ? 10 : 1000))
        return say(why, size, "a tax must be within 0 and 1000 percent");
    item->fraction = rate.units;
    for (; digits < FRACTION_DIGITS; digits++)
        item->fraction *= 10;
    if (item->fraction > FRACTION_MAX)
        return say(why, size, "a tax must be within 0 and 1000 percent");
    return seen & T_NAME ? 0 : say(why, size, "needs a name");
}

static const field_t CHECKOUT[] = {
    FIELD(quote_violation_t, FIELD_TEXT, code),
    FIELD(quote_violation_t, FIELD_TEXT, message),
    FIELD(quote_violation_t, FIELD_LINE, line),
};

static int finish_violation(void *data, unsigned seen, char *why, size_t size) {
    (void)data;
    return (seen & 3) == 3 ? 0 : say(why, size, "needs code and message");
}

#define SHAPE(noun, fields, type, finish)                                                          \
    { noun, fields, sizeof(fields) / sizeof(*fields), sizeof(type), finish }
static const shape_t SHAPES[] = {
    [RULE_PRICING] = SHAPE("adjustment", PRICING, adjustment_t, finish_adjustment),
    [RULE_SHIPPING] = SHAPE("option", SHIPPING, quote_option_t, finish_option),
    [RULE_TAX] = SHAPE("tax", TAX, tax_item_t, finish_tax),
    [RULE_CHECKOUT] = SHAPE("violation", CHECKOUT, quote_violation_t, finish_violation),
};

static size_t most(rule_kind_t kind, size_t nlines) {
    switch (kind) {
    case RULE_SHIPPING:
        return OPTIONS_MAX;
    case RULE_CHECKOUT:
        return VIOLATIONS_MAX;
    default:
        return 4 * nlines + 32;
    }
}

/* The elements are 1..n and nothing else: n is known from the border, the keys are counted. */
static int count_elements(reading_t *reading) {
    lua_State *L = reading->L;
    size_t count = reading->result->count, keys = 0;
    char text[64], first[64] = "";
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        int64_t key = 0;
        lua_pop(L, 1);
        keys++;
        if (whole(L, -1, 1e9, &key) && key >= 1 && (size_t)key <= count) continue;
        shown(L, -1, text, sizeof(text));
        if (!first[0] || strcmp(text, first) < 0) memcpy(first, text, sizeof(first));
    }
    if (first[0])
        return complain(
            reading, "the result must be a list { {...}, ... }, but it has the key %s", first);
    return keys == count ? 0 : complain(reading, "the result is a list with holes");
}

static int check_all(reading_t *reading, rule_kind_t kind) {
    result_t *result = reading->result;
    reading->index = 0;
    size_t wide = 0;
    const adjustment_t *adjustments = result->items;
    for (size_t i = 0; kind == RULE_PRICING && i < result->count; i++)
        wide += adjustments[i].order;
    if (wide > ORDER_WIDE_MAX)
        return complain(reading, "at most %d order-wide adjustments", ORDER_WIDE_MAX);
    const quote_option_t *options = result->items;
    for (size_t i = 0; kind == RULE_SHIPPING && i < result->count; i++)
        for (size_t j = 0; j < i; j++)
            if (span_eq(options[i].id, options[j].id))
                return complain(reading, "option %zu: the id \"%s\" is taken by option %zu", i + 1,
                    options[i].id.ptr, j + 1);
    return 0;
}

static void *item_at(const reading_t *reading, size_t index) {
    return (char *)reading->result->items + index * reading->shape->size;
}

/* One walk when the keys come as 1, 2, … n, as they do from a list that a rule has appended to. False when they do
   not; *err is of the element that was wrong. */
static bool read_in_order(reading_t *reading, int *err) {
    lua_State *L = reading->L;
    int list = lua_gettop(L);
    size_t index = 0;
    *err = 0;
    lua_pushnil(L);
    while (lua_next(L, list)) {
        bool next =
            lua_type(L, -2) == LUA_TNUMBER && lua_tonumber(L, -2) == (lua_Number)(index + 1);
        if (!next || index == reading->result->count) {
            lua_settop(L, list);
            return false;
        }
        reading->index = index + 1;
        *err = read_element(reading, item_at(reading, index++));
        if (*err) return true;
        lua_pop(L, 1);
    }
    return index == reading->result->count;
}

/* The keys in any order: counted first, so that the complaint about them comes before one about an element. */
static int read_any_order(reading_t *reading) {
    result_t *result = reading->result;
    reading->index = 0;
    int err = count_elements(reading);
    if (err) return err;
    memset(result->items, 0, result->count * reading->shape->size);
    for (size_t i = 0; i < result->count; i++) {
        reading->index = i + 1;
        lua_rawgeti(reading->L, -1, (int)i + 1);
        err = read_element(reading, item_at(reading, i));
        if (err) return err;
        lua_pop(reading->L, 1);
    }
    return 0;
}

static int read_list(reading_t *reading, rule_kind_t kind) {
    result_t *result = reading->result;
    int err;
    size_t max = most(kind, result->nlines);
    result->count = lua_objlen(reading->L, -1);
    if (result->count > max)
        return complain(reading, "the result has %zu elements; at most %zu", result->count, max);
    result->items = arena_zalloc(result->arena, (result->count + 1) * reading->shape->size);
    if (!result->items) return complain(reading, "out of memory");
    if (!read_in_order(reading, &err)) err = read_any_order(reading);
    return err ? err : check_all(reading, kind);
}

int result_read(lua_State *L, rule_kind_t kind, result_t *result, char *why, size_t size) {
    reading_t reading = {L, &SHAPES[kind], result, why, size, 0};
    char text[64];
    result->items = NULL;
    result->count = 0;
    if (lua_isnil(L, -1)) return 0;
    if (!lua_checkstack(L, 8)) return complain(&reading, "out of stack");
    if (lua_type(L, -1) != LUA_TTABLE)
        return complain(
            &reading, "the rule must return a list, not %s", shown(L, -1, text, sizeof(text)));
    return read_list(&reading, kind);
}
