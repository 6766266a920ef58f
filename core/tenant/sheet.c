/* sheet.c: applies adjustments, shipping and taxes to the lines in integers, and proves the sums. */
#include "tenant/sheet.h"
#include "base/err.h"
#include <stdio.h>

#define FRACTION_ONE INT64_C(100000000000) /* 1.0 in units of 1e-11 */
#define FRACTION_DIGITS 11
#define FRACTION_TEXT 24 /* digits of an int64 and the point */
#define DISCOUNTS_MERGED 64
#define TAXES_MAX 64

static int refuse(const sheet_t *sheet, int err, const char *sentence) {
    snprintf(sheet->why, sheet->size, "%s", sentence);
    return err;
}

static int too_large(const sheet_t *sheet) {
    return refuse(sheet, ERR_RANGE, "the amounts add up to more than the engine can count exactly");
}

/* Room for one more item of a QUOTE_LIST, cleared; NULL when out of memory. */
static void *grow(arena_t *arena, void **items, size_t *count, size_t *cap, size_t each) {
    if (*count == *cap) {
        size_t room = *cap ? *cap * 2 : 8;
        void *more = arena_alloc(arena, room * each);
        if (!more) return NULL;
        if (*count) memcpy(more, *items, *count * each);
        *items = more;
        *cap = room;
    }
    void *item = (char *)*items + (*count)++ * each;
    memset(item, 0, each);
    return item;
}
#define APPEND(sheet, list)                                                                        \
    grow((sheet)->arena, (void **)&(list).items, &(list).count, &(list).cap, sizeof(*(list).items))

int sheet_open(sheet_t *sheet) {
    const price_input_t *input = sheet->input;
    quote_t *quote = sheet->quote;
    if (input->nlines > PRICE_LINES_MAX)
        return refuse(sheet, ERR_TOO_LARGE, "the cart has over 1,000 lines");
    int64_t *amounts = arena_alloc(sheet->arena, (2 * input->nlines + 1) * sizeof(int64_t));
    if (!amounts) return refuse(sheet, ERR_NO_MEMORY, "out of memory");
    quote->nlines = input->nlines;
    quote->line_subtotals = amounts;
    quote->line_nets = amounts + input->nlines;
    for (size_t i = 0; i < input->nlines; i++) {
        const price_line_t *line = &input->lines[i];
        if (line->price < 0 || line->price > MONEY_MAX || line->quantity < 1 ||
            line->quantity > 1000000)
            return refuse(sheet, ERR_INVALID, "a line has a negative price or a quantity below 1");
        if (money_mul(line->price, line->quantity, &amounts[i])) return too_large(sheet);
        if (money_add(quote->subtotal, amounts[i], &quote->subtotal)) return too_large(sheet);
        quote->line_nets[i] = amounts[i];
    }
    return 0;
}

static int explain(sheet_t *sheet, const quote_entry_t *entry) {
    quote_entry_t *slot = APPEND(sheet, sheet->quote->explain);
    if (!slot) return refuse(sheet, ERR_NO_MEMORY, "out of memory");
    *slot = *entry;
    return 0;
}

/* Changes one line by delta, stopped at 0; *applied is what it came to. */
static int change_line(
    sheet_t *sheet, const adjustment_t *item, size_t line, int64_t delta, int64_t *applied) {
    int64_t *net = &sheet->quote->line_nets[line];
    bool stopped = delta < -*net;
    if (stopped) delta = -*net;
    if (money_add(*net, delta, net)) return too_large(sheet);
    *applied = delta;
    span_t reason = item->reason;
    if (stopped) {
        char *text = arena_printf(sheet->arena, "%.*s (stopped at 0)", (int)reason.len, reason.ptr);
        if (!text) return refuse(sheet, ERR_NO_MEMORY, "out of memory");
        reason = span_of(text);
    }
    return explain(sheet, &(quote_entry_t){.rule = RULE_PRICING,
                              .line = (int)line + 1,
                              .order = item->order,
                              .amount = delta,
                              .reason = reason,
                              .code = item->code});
}

static int delta_of(const sheet_t *sheet, const adjustment_t *item, int64_t base, int64_t *delta) {
    if (item->by == ADJUST_AMOUNT) {
        *delta = item->amount;
        return 0;
    }
    if (item->by == ADJUST_UNIT_PRICE) {
        int64_t quantity = sheet->input->lines[item->line - 1].quantity;
        if (money_mul(item->unit_price, quantity, delta)) return ERR_RANGE;
        *delta -= base;
        return 0;
    }
    int err = rate_apply(base, item->percent, 100, sheet->settings->rounding, delta);
    *delta = -*delta;
    return err;
}

static int adjust_line(sheet_t *sheet, const adjustment_t *item, int64_t *applied) {
    size_t line = (size_t)item->line - 1;
    int64_t delta;
    if (delta_of(sheet, item, sheet->quote->line_nets[line], &delta)) return too_large(sheet);
    return change_line(sheet, item, line, delta, applied);
}

/* Splits over the lines as they are now. The order stops at 0 as a whole; then each part is at most its line. */
static int adjust_order(
    sheet_t *sheet, const adjustment_t *item, int64_t *parts, int64_t *applied) {
    quote_t *quote = sheet->quote;
    int64_t base = 0, delta;
    for (size_t i = 0; i < quote->nlines; i++)
        if (money_add(base, quote->line_nets[i], &base)) return too_large(sheet);
    if (delta_of(sheet, item, base, &delta)) return too_large(sheet);
    adjustment_t stopped = *item;
    if (delta < -base) {
        delta = -base;
        char *text = arena_printf(
            sheet->arena, "%.*s (stopped at 0)", (int)item->reason.len, item->reason.ptr);
        if (!text) return refuse(sheet, ERR_NO_MEMORY, "out of memory");
        stopped.reason = span_of(text);
    }
    money_split(delta < 0 ? -delta : delta, quote->line_nets, parts, quote->nlines);
    *applied = 0;
    for (size_t i = 0; i < quote->nlines; i++) {
        int64_t part;
        if (parts[i] == 0) continue;
        int err = change_line(sheet, &stopped, i, delta < 0 ? -parts[i] : parts[i], &part);
        if (err) return err;
        *applied += part;
    }
    return 0;
}

/* Adds to the discount of the same reason and code, so that a shopper sees "ten or more" once. */
static int note_discount(sheet_t *sheet, const adjustment_t *item, int64_t applied) {
    quote_t *quote = sheet->quote;
    if (money_add(quote->discount, -applied, &quote->discount)) return too_large(sheet);
    if (applied == 0) return 0;
    size_t known =
        quote->discounts.count < DISCOUNTS_MERGED ? quote->discounts.count : DISCOUNTS_MERGED;
    for (size_t i = 0; i < known; i++) {
        quote_discount_t *discount = &quote->discounts.items[i];
        if (!span_eq(discount->reason, item->reason) || !span_eq(discount->code, item->code))
            continue;
        discount->amount -= applied;
        return 0;
    }
    quote_discount_t *discount = APPEND(sheet, quote->discounts);
    if (!discount) return refuse(sheet, ERR_NO_MEMORY, "out of memory");
    *discount = (quote_discount_t){item->reason, item->code, -applied};
    return 0;
}

int sheet_adjust(sheet_t *sheet, const adjustment_t *items, size_t count) {
    int64_t *parts = arena_alloc(sheet->arena, (sheet->quote->nlines + 1) * sizeof(int64_t));
    if (!parts) return refuse(sheet, ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        int64_t applied = 0;
        int err = items[i].order ? adjust_order(sheet, &items[i], parts, &applied)
                                 : adjust_line(sheet, &items[i], &applied);
        if (!err) err = note_discount(sheet, &items[i], applied);
        if (err) return err;
        if (items[i].stop) break;
    }
    return 0;
}

static int cannot_ship(sheet_t *sheet) {
    sheet->quote->shippable = false;
    if (!sheet->input->address) return 0;
    quote_violation_t *violation = APPEND(sheet, sheet->quote->violations);
    if (!violation) return refuse(sheet, ERR_NO_MEMORY, "out of memory");
    *violation = (quote_violation_t){SPAN("no_shipping"), SPAN("this shop cannot ship there"), 0};
    return 0;
}

int sheet_ship(sheet_t *sheet, const quote_option_t *items, size_t count) {
    quote_t *quote = sheet->quote;
    if (count == 0) return cannot_ship(sheet);
    const quote_option_t *taken = &items[0];
    for (size_t i = 0; i < count; i++) {
        quote_option_t *option = APPEND(sheet, quote->options);
        if (!option) return refuse(sheet, ERR_NO_MEMORY, "out of memory");
        *option = items[i];
        if (sheet->input->option.len && span_eq(items[i].id, sheet->input->option))
            taken = &items[i];
    }
    quote->shipping = taken->amount;
    quote->shipping_option = taken->id;
    return explain(sheet, &(quote_entry_t){.rule = RULE_SHIPPING,
                              .shipping = true,
                              .amount = taken->amount,
                              .reason = taken->name,
                              .code = taken->id});
}

/* Items of one name, rate and kind. In a group of inclusive taxes `contained` is also equal: the sum of all inclusive
   rates of the line, since several of them share one gross amount. */
typedef struct group {
    const tax_item_t *first;
    int64_t contained;
    int64_t base; /* sum of the bases */
    int64_t amount;
    size_t shown; /* index in quote->taxes */
} group_t;

typedef struct taxes {
    sheet_t *sheet;
    const tax_item_t *items;
    size_t count;
    int64_t *contained; /* per line, the last for shipping */
    int *group_of;      /* per item */
    int64_t *amounts;   /* per item */
    group_t groups[TAXES_MAX];
    int ngroups;
} taxes_t;

static size_t target_of(const taxes_t *taxes, const tax_item_t *item) {
    return item->shipping ? taxes->sheet->quote->nlines : (size_t)item->line - 1;
}

static int64_t base_of(const taxes_t *taxes, const tax_item_t *item) {
    const quote_t *quote = taxes->sheet->quote;
    return item->shipping ? quote->shipping : quote->line_nets[item->line - 1];
}

/* base x fraction / (1 + contained), rounded once. base is not negative and at most 1e14, the fractions at most
   1e12 each, so that the product fits in 128 bits. */
static int64_t portion(
    int64_t base, int64_t fraction, int64_t contained, money_rounding_t rounding) {
    unsigned __int128 product = (unsigned __int128)base * (uint64_t)fraction;
    uint64_t divisor = (uint64_t)(FRACTION_ONE + contained);
    uint64_t quotient = (uint64_t)(product / divisor), rest = (uint64_t)(product % divisor);
    bool half = rest * 2 == divisor;
    bool up = rest * 2 > divisor || (half && (rounding == MONEY_HALF_UP || quotient % 2));
    return (int64_t)(quotient + up);
}

static bool same_tax(const tax_item_t *a, const tax_item_t *b) {
    return a->fraction == b->fraction && a->inclusive == b->inclusive && span_eq(a->name, b->name);
}

static int group_find(taxes_t *taxes, const tax_item_t *item, int64_t contained) {
    for (int i = 0; i < taxes->ngroups; i++)
        if (taxes->groups[i].contained == contained && same_tax(taxes->groups[i].first, item))
            return i;
    if (taxes->ngroups == TAXES_MAX) return -1;
    taxes->groups[taxes->ngroups] = (group_t){.first = item, .contained = contained};
    return taxes->ngroups++;
}

static int gather(taxes_t *taxes) {
    sheet_t *sheet = taxes->sheet;
    for (size_t i = 0; i < taxes->count; i++)
        if (taxes->items[i].inclusive)
            taxes->contained[target_of(taxes, &taxes->items[i])] += taxes->items[i].fraction;
    for (size_t i = 0; i < taxes->count; i++) {
        const tax_item_t *item = &taxes->items[i];
        int64_t contained = item->inclusive ? taxes->contained[target_of(taxes, item)] : 0;
        int64_t base = base_of(taxes, item);
        int found = group_find(taxes, item, contained);
        if (found < 0)
            return refuse(sheet, ERR_BAD_RESULT, "the result has over 64 different taxes");
        taxes->group_of[i] = found;
        taxes->amounts[i] = portion(base, item->fraction, contained, sheet->settings->rounding);
        if (taxes->amounts[i] > MONEY_MAX) return too_large(sheet);
        group_t *group = &taxes->groups[found];
        if (money_add(group->base, base, &group->base)) return too_large(sheet);
        if (money_add(group->amount, taxes->amounts[i], &group->amount)) return too_large(sheet);
    }
    return 0;
}

/* Per order: a group's sum is rounded once, and its items get their shares by largest remainder. */
static int round_groups(taxes_t *taxes) {
    sheet_t *sheet = taxes->sheet;
    int64_t *work = arena_alloc(sheet->arena, (2 * taxes->count + 1) * sizeof(int64_t));
    if (!work) return refuse(sheet, ERR_NO_MEMORY, "out of memory");
    int64_t *weights = work, *parts = work + taxes->count;
    for (int g = 0; g < taxes->ngroups; g++) {
        group_t *group = &taxes->groups[g];
        size_t n = 0;
        group->amount = portion(
            group->base, group->first->fraction, group->contained, sheet->settings->rounding);
        if (group->amount > MONEY_MAX) return too_large(sheet);
        for (size_t i = 0; i < taxes->count; i++)
            if (taxes->group_of[i] == g) weights[n++] = base_of(taxes, &taxes->items[i]);
        money_split(group->amount, weights, parts, n);
        n = 0;
        for (size_t i = 0; i < taxes->count; i++)
            if (taxes->group_of[i] == g) taxes->amounts[i] = parts[n++];
    }
    return 0;
}

/* The decimal text of a fraction in units of 1e-11, without zeros at its end. Written backwards: a printf costs more
   than the rest of a tax line. */
static span_t fraction_text(arena_t *arena, int64_t fraction) {
    char digits[FRACTION_TEXT], *end = digits + sizeof digits, *at = end;
    for (int place = 0; place <= FRACTION_DIGITS || fraction; place++) {
        if (place == FRACTION_DIGITS && at != end) *--at = '.';
        if (place >= FRACTION_DIGITS || fraction % 10 || at != end)
            *--at = (char)('0' + fraction % 10);
        fraction /= 10;
    }
    char *text = arena_dup(arena, at, (size_t)(end - at));
    return (span_t){text, text ? (size_t)(end - at) : 0};
}

static int show_group(taxes_t *taxes, const group_t *group) {
    quote_t *quote = taxes->sheet->quote;
    int64_t *sum = group->first->inclusive ? &quote->tax_included : &quote->tax;
    if (money_add(*sum, group->amount, sum)) return too_large(taxes->sheet);
    for (const group_t *other = taxes->groups; other < group; other++)
        if (same_tax(other->first, group->first)) {
            quote->taxes.items[other->shown].amount += group->amount;
            return 0;
        }
    quote_tax_t *tax = APPEND(taxes->sheet, quote->taxes);
    span_t rate = fraction_text(taxes->sheet->arena, group->first->fraction);
    if (!tax || !rate.ptr) return refuse(taxes->sheet, ERR_NO_MEMORY, "out of memory");
    *tax = (quote_tax_t){group->first->name, rate, group->amount, group->first->inclusive};
    return 0;
}

static int show(taxes_t *taxes) {
    for (int g = 0; g < taxes->ngroups; g++) {
        taxes->groups[g].shown = taxes->sheet->quote->taxes.count;
        int err = show_group(taxes, &taxes->groups[g]);
        if (err) return err;
    }
    for (size_t i = 0; i < taxes->count; i++) {
        const tax_item_t *item = &taxes->items[i];
        int err = explain(taxes->sheet, &(quote_entry_t){.rule = RULE_TAX,
                                            .line = item->line,
                                            .shipping = item->shipping,
                                            .inclusive = item->inclusive,
                                            .amount = taxes->amounts[i],
                                            .reason = item->name});
        if (err) return err;
    }
    return 0;
}

int sheet_tax(sheet_t *sheet, const tax_item_t *items, size_t count) {
    taxes_t taxes = {.sheet = sheet, .items = items, .count = count};
    taxes.contained = arena_zalloc(sheet->arena, (sheet->quote->nlines + 1) * sizeof(int64_t));
    taxes.group_of = arena_alloc(sheet->arena, (count + 1) * sizeof(int));
    taxes.amounts = arena_alloc(sheet->arena, (count + 1) * sizeof(int64_t));
    if (!taxes.contained || !taxes.group_of || !taxes.amounts)
        return refuse(sheet, ERR_NO_MEMORY, "out of memory");
    int err = gather(&taxes);
    if (!err && sheet->settings->round_per_order) err = round_groups(&taxes);
    return err ? err : show(&taxes);
}

int sheet_total(sheet_t *sheet) {
    quote_t *quote = sheet->quote;
    quote->total = 0;
    for (size_t i = 0; i < quote->nlines; i++)
        if (money_add(quote->total, quote->line_nets[i], &quote->total)) return too_large(sheet);
    if (money_add(quote->total, quote->shipping, &quote->total)) return too_large(sheet);
    return money_add(quote->total, quote->tax, &quote->total) ? too_large(sheet) : 0;
}

int sheet_violate(sheet_t *sheet, const quote_violation_t *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        quote_violation_t *violation = APPEND(sheet, sheet->quote->violations);
        if (!violation) return refuse(sheet, ERR_NO_MEMORY, "out of memory");
        *violation = items[i];
        int err = explain(sheet, &(quote_entry_t){.rule = RULE_CHECKOUT,
                                     .line = items[i].line,
                                     .order = items[i].line == 0,
                                     .reason = items[i].message,
                                     .code = items[i].code});
        if (err) return err;
    }
    return 0;
}

/* total was summed from the lines; here the same comes from what the entries say and from the discount's own sum. */
int sheet_prove(const sheet_t *sheet) {
    const quote_t *quote = sheet->quote;
    int64_t told = quote->subtotal, discounts = 0, taxes = 0;
    for (size_t i = 0; i < quote->explain.count; i++)
        if (!quote->explain.items[i].inclusive) told += quote->explain.items[i].amount;
    for (size_t i = 0; i < quote->discounts.count; i++)
        discounts += quote->discounts.items[i].amount;
    for (size_t i = 0; i < quote->taxes.count; i++)
        if (!quote->taxes.items[i].inclusive) taxes += quote->taxes.items[i].amount;
    bool proved =
        quote->subtotal - quote->discount + quote->shipping + quote->tax == quote->total &&
        told == quote->total && discounts == quote->discount && taxes == quote->tax &&
        quote->total >= 0 && quote->shipping >= 0 && quote->tax >= 0;
    for (size_t i = 0; i < quote->nlines; i++)
        proved = proved && quote->line_nets[i] >= 0;
    return proved ? 0 : refuse(sheet, ERR_INTERNAL, "the sums do not agree with the total");
}
