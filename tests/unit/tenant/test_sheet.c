/* test_sheet.c: known sums, rounding, largest remainder, floors, taxes; and random carts against a second, slow
   formula. */
#include "tenant/rig.h"
#include "tenant/sheet.h"

#define LINES_MAX 12

typedef struct table {
    arena_t arena;
    settings_t settings;
    price_line_t lines[LINES_MAX];
    price_input_t input;
    quote_t quote;
    sheet_t sheet;
    char why[200];
} table_t;

static void lay(table_t *table, size_t n, const int64_t *prices, const int64_t *quantities) {
    memset(table, 0, sizeof *table);
    arena_create(&table->arena);
    for (size_t i = 0; i < n; i++) {
        table->lines[i].price = prices[i];
        table->lines[i].quantity = quantities ? quantities[i] : 1;
    }
    table->input = (price_input_t){.lines = table->lines, .nlines = n};
    table->quote.shippable = true;
    table->sheet = (sheet_t){&table->settings, &table->input, &table->arena, &table->quote,
        table->why, sizeof table->why};
    assert_int_equal(sheet_open(&table->sheet), 0);
}

static void clear(table_t *table) {
    arena_destroy(&table->arena);
}

static rate_t rate(const char *text) {
    rate_t out;
    assert_int_equal(rate_parse(span_of(text), &out), 0);
    return out;
}

static adjustment_t percent_off(int line, const char *percent) {
    return (adjustment_t){.line = line,
        .order = line == 0,
        .by = ADJUST_PERCENT,
        .percent = rate(percent),
        .reason = SPAN("test")};
}

static adjustment_t amount_off(int line, int64_t amount) {
    return (adjustment_t){.line = line,
        .order = line == 0,
        .by = ADJUST_AMOUNT,
        .amount = amount,
        .reason = SPAN("test")};
}

static tax_item_t tax(int line, const char *percent, bool inclusive, const char *name) {
    rate_t parsed = rate(percent);
    tax_item_t item = {.line = line,
        .shipping = line == 0,
        .percent = parsed,
        .divisor = 100,
        .inclusive = inclusive,
        .name = span_of(name),
        .fraction = parsed.units};
    for (int digits = parsed.scale + 2; digits < 11; digits++)
        item.fraction *= 10;
    return item;
}

static void finish(table_t *table) {
    assert_int_equal(sheet_total(&table->sheet), 0);
    if (sheet_prove(&table->sheet)) fail_msg("%s", table->why);
}

static void subtotals_are_price_times_quantity(void **state) {
    (void)state;
    table_t table;
    lay(&table, 2, (int64_t[]){2999, 4999}, (int64_t[]){2, 1});
    finish(&table);
    assert_int_equal(table.quote.subtotal, 10997);
    assert_int_equal(table.quote.total, 10997);
    clear(&table);
}

static void a_cart_that_cannot_be_is_refused(void **state) {
    (void)state;
    const struct {
        int64_t price, quantity;
        int err;
    } cases[] = {{-1, 1, ERR_INVALID}, {1, 0, ERR_INVALID}, {1, -5, ERR_INVALID},
        {1, 1000001, ERR_INVALID}, {MONEY_MAX, 2, ERR_RANGE}, {MONEY_MAX + 1, 1, ERR_INVALID}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        table_t table;
        lay(&table, 0, NULL, NULL);
        table.lines[0] = (price_line_t){.price = cases[i].price, .quantity = cases[i].quantity};
        table.input.nlines = 1;
        assert_int_equal(sheet_open(&table.sheet), cases[i].err);
        assert_true(table.why[0] != 0);
        clear(&table);
    }
}

/* 10 % of 0.05 is half a cent. */
static void halves_round_as_the_settings_say(void **state) {
    (void)state;
    const struct {
        int64_t price;
        money_rounding_t rounding;
        int64_t discount;
    } cases[] = {{5, MONEY_HALF_UP, 1}, {5, MONEY_HALF_EVEN, 0}, {15, MONEY_HALF_UP, 2},
        {15, MONEY_HALF_EVEN, 2}, {25, MONEY_HALF_UP, 3}, {25, MONEY_HALF_EVEN, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        table_t table;
        lay(&table, 1, &cases[i].price, NULL);
        table.settings.rounding = cases[i].rounding;
        adjustment_t item = percent_off(1, "10");
        assert_int_equal(sheet_adjust(&table.sheet, &item, 1), 0);
        finish(&table);
        assert_int_equal(table.quote.discount, cases[i].discount);
        clear(&table);
    }
}

/* The second 50 % finds what the first left. */
static void adjustments_apply_in_order(void **state) {
    (void)state;
    table_t table;
    lay(&table, 1, (int64_t[]){10000}, NULL);
    adjustment_t items[] = {percent_off(1, "50"), amount_off(1, -1000), percent_off(1, "50"),
        {.line = 1, .by = ADJUST_UNIT_PRICE, .unit_price = 1500, .reason = SPAN("fixed")}};
    assert_int_equal(sheet_adjust(&table.sheet, items, 4), 0);
    finish(&table);
    assert_int_equal(table.quote.total, 1500);
    const int64_t changes[] = {-5000, -1000, -2000, -500};
    assert_int_equal(table.quote.explain.count, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(table.quote.explain.items[i].amount, changes[i]);
    clear(&table);
}

static void unit_price_counts_for_each(void **state) {
    (void)state;
    table_t table;
    lay(&table, 1, (int64_t[]){2500}, (int64_t[]){3});
    adjustment_t item = {
        .line = 1, .by = ADJUST_UNIT_PRICE, .unit_price = 1999, .reason = SPAN("tier")};
    assert_int_equal(sheet_adjust(&table.sheet, &item, 1), 0);
    finish(&table);
    assert_int_equal(table.quote.total, 5997);
    assert_int_equal(table.quote.discount, 1503);
    clear(&table);
}

static void stop_ends_the_list(void **state) {
    (void)state;
    table_t table;
    lay(&table, 1, (int64_t[]){1000}, NULL);
    adjustment_t items[] = {amount_off(1, -100), amount_off(1, -200), amount_off(1, -400)};
    items[1].stop = true;
    assert_int_equal(sheet_adjust(&table.sheet, items, 3), 0);
    finish(&table);
    assert_int_equal(table.quote.total, 700);
    clear(&table);
}

static void a_line_stops_at_zero_and_says_so(void **state) {
    (void)state;
    table_t table;
    lay(&table, 2, (int64_t[]){300, 1000}, NULL);
    adjustment_t items[] = {amount_off(1, -500), percent_off(1, "10"), percent_off(2, "150")};
    assert_int_equal(sheet_adjust(&table.sheet, items, 3), 0);
    finish(&table);
    assert_int_equal(table.quote.total, 0);
    assert_int_equal(table.quote.discount, 1300);
    assert_int_equal(table.quote.explain.items[0].amount, -300);
    assert_true(span_eq(table.quote.explain.items[0].reason, SPAN("test (stopped at 0)")));
    assert_int_equal(table.quote.explain.items[1].amount, 0);
    assert_true(span_eq(table.quote.explain.items[1].reason, SPAN("test")));
    assert_int_equal(table.quote.explain.items[2].amount, -1000);
    clear(&table);
}

static void the_order_stops_at_zero_and_says_so(void **state) {
    (void)state;
    table_t table;
    lay(&table, 2, (int64_t[]){300, 700}, NULL);
    adjustment_t item = amount_off(0, -5000);
    assert_int_equal(sheet_adjust(&table.sheet, &item, 1), 0);
    finish(&table);
    assert_int_equal(table.quote.total, 0);
    assert_int_equal(table.quote.discounts.items[0].amount, 1000);
    assert_non_null(strstr(table.quote.explain.items[0].reason.ptr, "stopped at 0"));
    clear(&table);
}

/* 1.00 off 3 equal lines: 34, 33, 33; ties to the earlier. */
static void order_amounts_split_by_largest_remainder(void **state) {
    (void)state;
    table_t table;
    lay(&table, 3, (int64_t[]){1000, 1000, 1000}, NULL);
    adjustment_t item = amount_off(0, -100);
    assert_int_equal(sheet_adjust(&table.sheet, &item, 1), 0);
    finish(&table);
    const int64_t nets[] = {966, 967, 967};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(table.quote.line_nets[i], nets[i]);
        assert_int_equal(table.quote.explain.items[i].line, i + 1);
        assert_true(table.quote.explain.items[i].order);
    }
    clear(&table);
}

/* 10 % of the order is rounded once: 3 lines of 0.05 give 0.15, so 0.02 and not 3 x 0.01. */
static void order_percent_rounds_once(void **state) {
    (void)state;
    table_t table;
    lay(&table, 3, (int64_t[]){5, 5, 5}, NULL);
    adjustment_t item = percent_off(0, "10");
    assert_int_equal(sheet_adjust(&table.sheet, &item, 1), 0);
    finish(&table);
    assert_int_equal(table.quote.discount, 2);
    clear(&table);
}

static void surcharges_are_negative_discounts(void **state) {
    (void)state;
    table_t table;
    lay(&table, 2, (int64_t[]){0, 1000}, NULL);
    adjustment_t items[] = {amount_off(1, 250), percent_off(2, "-5")};
    assert_int_equal(sheet_adjust(&table.sheet, items, 2), 0);
    finish(&table);
    assert_int_equal(table.quote.total, 1300);
    assert_int_equal(table.quote.discount, -300);
    clear(&table);
}

static void free_lines_get_no_part(void **state) {
    (void)state;
    table_t table;
    lay(&table, 3, (int64_t[]){0, 1, 0}, NULL);
    adjustment_t item = amount_off(0, -1);
    assert_int_equal(sheet_adjust(&table.sheet, &item, 1), 0);
    finish(&table);
    assert_int_equal(table.quote.total, 0);
    assert_int_equal(table.quote.explain.count, 1);
    clear(&table);
}

static void the_same_reason_is_one_discount(void **state) {
    (void)state;
    table_t table;
    lay(&table, 2, (int64_t[]){1000, 1000}, NULL);
    adjustment_t items[] = {percent_off(1, "10"), percent_off(2, "10"), percent_off(2, "10")};
    items[2].code = SPAN("TEN");
    assert_int_equal(sheet_adjust(&table.sheet, items, 3), 0);
    finish(&table);
    assert_int_equal(table.quote.discounts.count, 2);
    assert_int_equal(table.quote.discounts.items[0].amount, 200);
    assert_int_equal(table.quote.discounts.items[1].amount, 90);
    clear(&table);
}

static void the_chosen_option_is_taken_else_the_first(void **state) {
    (void)state;
    const quote_option_t options[] = {
        {SPAN("std"), SPAN("Standard"), 500, 3}, {SPAN("fast"), SPAN("Express"), 1500, 1}};
    const struct {
        const char *chosen;
        int64_t shipping;
    } cases[] = {{"", 500}, {"fast", 1500}, {"gone", 500}};
    for (size_t i = 0; i < 3; i++) {
        table_t table;
        lay(&table, 1, (int64_t[]){1000}, NULL);
        table.input.option = span_of(cases[i].chosen);
        assert_int_equal(sheet_ship(&table.sheet, options, 2), 0);
        finish(&table);
        assert_int_equal(table.quote.shipping, cases[i].shipping);
        assert_int_equal(table.quote.total, 1000 + cases[i].shipping);
        clear(&table);
    }
}

static void no_option_is_a_violation_once_there_is_an_address(void **state) {
    (void)state;
    const value_t address = {.kind = VALUE_TABLE};
    for (int with = 0; with < 2; with++) {
        table_t table;
        lay(&table, 1, (int64_t[]){1000}, NULL);
        if (with) table.input.address = &address;
        assert_int_equal(sheet_ship(&table.sheet, NULL, 0), 0);
        finish(&table);
        assert_false(table.quote.shippable);
        assert_int_equal(table.quote.violations.count, with);
        clear(&table);
    }
}

/* The source document's order: 59.98 + 5.00 shipping + 9 % tax of 5.40 = 70.38. */
static void the_documents_order_adds_up(void **state) {
    (void)state;
    table_t table;
    lay(&table, 1, (int64_t[]){2999}, (int64_t[]){2});
    const quote_option_t option = {SPAN("std"), SPAN("Standard"), 500, -1};
    tax_item_t item = tax(1, "9", false, "Tax");
    assert_int_equal(sheet_ship(&table.sheet, &option, 1), 0);
    assert_int_equal(sheet_tax(&table.sheet, &item, 1), 0);
    finish(&table);
    assert_int_equal(table.quote.tax, 540);
    assert_int_equal(table.quote.total, 7038);
    assert_true(span_eq(table.quote.taxes.items[0].rate, SPAN("0.09")));
    clear(&table);
}

/* Three lines of 0.05 at 10 %: each rounds to 0.01, the sum of 0.15 to 0.02. */
static void tax_rounds_per_line_or_per_order(void **state) {
    (void)state;
    for (int per_order = 0; per_order < 2; per_order++) {
        table_t table;
        lay(&table, 3, (int64_t[]){5, 5, 5}, NULL);
        table.settings.round_per_order = per_order;
        tax_item_t items[] = {
            tax(1, "10", false, "T"), tax(2, "10", false, "T"), tax(3, "10", false, "T")};
        assert_int_equal(sheet_tax(&table.sheet, items, 3), 0);
        finish(&table);
        assert_int_equal(table.quote.taxes.count, 1);
        assert_int_equal(table.quote.tax, per_order ? 2 : 3);
        clear(&table);
    }
}

static void inclusive_tax_is_contained(void **state) {
    (void)state;
    table_t table;
    lay(&table, 2, (int64_t[]){1100, 1000}, NULL);
    tax_item_t items[] = {tax(1, "10", true, "VAT"), tax(2, "10", true, "VAT")};
    assert_int_equal(sheet_tax(&table.sheet, items, 2), 0);
    finish(&table);
    assert_int_equal(table.quote.total, 2100);
    assert_int_equal(table.quote.tax, 0);
    assert_int_equal(table.quote.tax_included, 191); /* 100 + 90.909 */
    assert_true(table.quote.taxes.items[0].inclusive);
    clear(&table);
}

/* 1.15 holds 5 % and 10 % of 1.00, not 5/105 and 10/110 of 1.15. */
static void inclusive_taxes_of_one_line_share_it(void **state) {
    (void)state;
    table_t table;
    lay(&table, 1, (int64_t[]){115}, NULL);
    tax_item_t items[] = {tax(1, "5", true, "GST"), tax(1, "10", true, "PST")};
    assert_int_equal(sheet_tax(&table.sheet, items, 2), 0);
    finish(&table);
    assert_int_equal(table.quote.taxes.items[0].amount, 5);
    assert_int_equal(table.quote.taxes.items[1].amount, 10);
    clear(&table);
}

static void shipping_is_taxed_when_the_rule_says_so(void **state) {
    (void)state;
    table_t table;
    lay(&table, 1, (int64_t[]){1000}, NULL);
    const quote_option_t option = {SPAN("std"), SPAN("Standard"), 500, -1};
    tax_item_t items[] = {tax(1, "8.25", false, "State"), tax(0, "8.25", false, "State")};
    assert_int_equal(sheet_ship(&table.sheet, &option, 1), 0);
    assert_int_equal(sheet_tax(&table.sheet, items, 2), 0);
    finish(&table);
    assert_int_equal(table.quote.tax, 83 + 41);
    assert_true(table.quote.explain.items[2].shipping);
    clear(&table);
}

static void too_much_is_a_named_error(void **state) {
    (void)state;
    table_t table;
    lay(&table, 1, (int64_t[]){MONEY_MAX}, NULL);
    adjustment_t item = amount_off(1, 1);
    assert_int_equal(sheet_adjust(&table.sheet, &item, 1), ERR_RANGE);
    assert_non_null(strstr(table.why, "count exactly"));
    clear(&table);
}

static void a_wrong_sum_is_never_proved(void **state) {
    (void)state;
    for (int what = 0; what < 5; what++) {
        table_t table;
        lay(&table, 2, (int64_t[]){1000, 2000}, NULL);
        adjustment_t item = percent_off(0, "10");
        tax_item_t levy = tax(1, "10", false, "T");
        assert_int_equal(sheet_adjust(&table.sheet, &item, 1), 0);
        assert_int_equal(sheet_tax(&table.sheet, &levy, 1), 0);
        finish(&table);
        int64_t *figures[] = {&table.quote.total, &table.quote.discount, &table.quote.tax,
            &table.quote.shipping, &table.quote.explain.items[0].amount};
        *figures[what] += 1;
        assert_int_equal(sheet_prove(&table.sheet), ERR_INTERNAL);
        clear(&table);
    }
}

/* A fixed sequence, the same on every machine. */
static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static int64_t slow_round(int64_t numerator, int64_t denominator, bool even) {
    int64_t quotient = numerator / denominator;
    while ((quotient + 1) * denominator <= numerator)
        quotient++;
    int64_t twice = (numerator - quotient * denominator) * 2;
    if (twice > denominator || (twice == denominator && (!even || quotient % 2))) quotient++;
    return quotient;
}

/* Gives out one unit after another to the line that is furthest below its share. */
static void slow_split(int64_t total, const int64_t *weights, int64_t *parts, size_t n) {
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += weights[i];
        parts[i] = 0;
    }
    int64_t left = total;
    for (size_t i = 0; i < n && sum; i++) {
        parts[i] = total * weights[i] / sum;
        left -= parts[i];
    }
    bool given[LINES_MAX] = {false};
    for (; left > 0; left--) {
        size_t best = n;
        for (size_t i = 0; i < n; i++)
            if (!given[i] && (best == n || total * weights[i] % sum > total * weights[best] % sum))
                best = i;
        given[best] = true;
        parts[best]++;
    }
}

typedef struct slow {
    int64_t nets[LINES_MAX];
    size_t n;
    bool even;
} slow_t;

static void slow_apply(slow_t *slow, const adjustment_t *item) {
    int64_t base = 0, parts[LINES_MAX];
    for (size_t i = 0; i < slow->n; i++)
        base += slow->nets[i];
    if (!item->order) base = slow->nets[item->line - 1];
    int64_t off = item->by == ADJUST_AMOUNT
                      ? -item->amount
                      : slow_round(base * item->percent.units, 10000, slow->even);
    if (off > base) off = base;
    if (!item->order) {
        slow->nets[item->line - 1] -= off;
        return;
    }
    slow_split(off, slow->nets, parts, slow->n);
    for (size_t i = 0; i < slow->n; i++)
        slow->nets[i] -= parts[i];
}

static void compare_with_slow(uint64_t *random) {
    table_t table;
    slow_t slow = {.n = 1 + next_random(random) % LINES_MAX, .even = next_random(random) % 2};
    int64_t prices[LINES_MAX], quantities[LINES_MAX];
    adjustment_t items[8];
    for (size_t i = 0; i < slow.n; i++) {
        prices[i] = (int64_t)(next_random(random) % 3 ? next_random(random) % 20000
                                                      : next_random(random) % 3);
        quantities[i] = 1 + (int64_t)(next_random(random) % 5);
        slow.nets[i] = prices[i] * quantities[i];
    }
    lay(&table, slow.n, prices, quantities);
    table.settings.rounding = slow.even ? MONEY_HALF_EVEN : MONEY_HALF_UP;
    for (int i = 0; i < 8; i++) {
        int line = next_random(random) % 2 ? 0 : 1 + (int)(next_random(random) % slow.n);
        items[i] = amount_off(line, -(int64_t)(next_random(random) % 3000));
        if (next_random(random) % 2) {
            items[i].by = ADJUST_PERCENT;
            items[i].percent = (rate_t){(int64_t)(next_random(random) % 4000), 2};
        }
        slow_apply(&slow, &items[i]);
    }
    assert_int_equal(sheet_adjust(&table.sheet, items, 8), 0);
    finish(&table);
    for (size_t i = 0; i < slow.n; i++)
        assert_int_equal(table.quote.line_nets[i], slow.nets[i]);
    clear(&table);
}

static void random_carts_agree_with_the_slow_formula(void **state) {
    (void)state;
    uint64_t random = 20241121;
    for (int round = 0; round < 3000; round++)
        compare_with_slow(&random);
}

static void random_taxes_add_up(void **state) {
    (void)state;
    uint64_t random = 4217;
    for (int round = 0; round < 2000; round++) {
        table_t table;
        int64_t prices[LINES_MAX], expected = 0, sum = 0;
        size_t n = 1 + next_random(&random) % LINES_MAX;
        int64_t units = (int64_t)(next_random(&random) % 300000); /* up to 30 %, 4 digits */
        bool per_order = next_random(&random) % 2, even = next_random(&random) % 2;
        for (size_t i = 0; i < n; i++)
            prices[i] = (int64_t)(next_random(&random) % 100000);
        lay(&table, n, prices, NULL);
        table.settings.round_per_order = per_order;
        table.settings.rounding = even ? MONEY_HALF_EVEN : MONEY_HALF_UP;
        tax_item_t items[LINES_MAX];
        for (size_t i = 0; i < n; i++) {
            items[i] = tax((int)i + 1, "0", false, "T");
            items[i].fraction = units * 100000;
            expected += slow_round(prices[i] * units, 1000000, even);
            sum += prices[i];
        }
        if (per_order) expected = slow_round(sum * units, 1000000, even);
        assert_int_equal(sheet_tax(&table.sheet, items, n), 0);
        finish(&table);
        assert_int_equal(table.quote.tax, expected);
        clear(&table);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subtotals_are_price_times_quantity),
        cmocka_unit_test(a_cart_that_cannot_be_is_refused),
        cmocka_unit_test(halves_round_as_the_settings_say),
        cmocka_unit_test(adjustments_apply_in_order),
        cmocka_unit_test(unit_price_counts_for_each),
        cmocka_unit_test(stop_ends_the_list),
        cmocka_unit_test(a_line_stops_at_zero_and_says_so),
        cmocka_unit_test(the_order_stops_at_zero_and_says_so),
        cmocka_unit_test(order_amounts_split_by_largest_remainder),
        cmocka_unit_test(order_percent_rounds_once),
        cmocka_unit_test(surcharges_are_negative_discounts),
        cmocka_unit_test(free_lines_get_no_part),
        cmocka_unit_test(the_same_reason_is_one_discount),
        cmocka_unit_test(the_chosen_option_is_taken_else_the_first),
        cmocka_unit_test(no_option_is_a_violation_once_there_is_an_address),
        cmocka_unit_test(the_documents_order_adds_up),
        cmocka_unit_test(tax_rounds_per_line_or_per_order),
        cmocka_unit_test(inclusive_tax_is_contained),
        cmocka_unit_test(inclusive_taxes_of_one_line_share_it),
        cmocka_unit_test(shipping_is_taxed_when_the_rule_says_so),
        cmocka_unit_test(too_much_is_a_named_error),
        cmocka_unit_test(a_wrong_sum_is_never_proved),
        cmocka_unit_test(random_carts_agree_with_the_slow_formula),
        cmocka_unit_test(random_taxes_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
