/* test_money.c: parsing, printing, rates, rounding, splitting; amounts that no double could hold. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include "base/err.h"
#include "base/money.h"

static void amounts_parse_exactly(void **state) {
    (void)state;
    const struct {
        const char *text;
        int digits, err;
        int64_t amount;
    } cases[] = {
        {"29.99", 2, 0, 2999},
        {"29.9", 2, 0, 2990},
        {"29", 2, 0, 2900},
        {"-1", 2, 0, -100},
        {"-0.01", 2, 0, -1},
        {"-0", 2, 0, 0},
        {"0.10", 1, 0, 1},
        {"3000", 0, 0, 3000},
        {"3000.00", 0, 0, 3000},
        {"1.234", 3, 0, 1234},
        {"29.990", 2, 0, 2999},
        {"29.999", 2, ERR_PRECISION, 0},
        {"0.5", 0, ERR_PRECISION, 0},
        {"1000000000000.00", 2, 0, MONEY_MAX},
        {"-1000000000000.00", 2, 0, -MONEY_MAX},
        {"1000000000000.01", 2, ERR_RANGE, 0},
        {"99999999999999999999999999", 2, ERR_RANGE, 0},
        {"1e3", 2, ERR_INVALID, 0},
        {"", 2, ERR_INVALID, 0},
        {"-", 2, ERR_INVALID, 0},
        {".5", 2, ERR_INVALID, 0},
        {"5.", 2, ERR_INVALID, 0},
        {"1.2.3", 2, ERR_INVALID, 0},
        {"1,50", 2, ERR_INVALID, 0},
        {" 1", 2, ERR_INVALID, 0},
        {"+1", 2, ERR_INVALID, 0},
        {"--1", 2, ERR_INVALID, 0},
        {"nan", 2, ERR_INVALID, 0},
        {"1", 5, ERR_INVALID, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t amount = 0;
        assert_int_equal(
            money_parse(span_of(cases[i].text), cases[i].digits, &amount), cases[i].err);
        assert_true(amount == cases[i].amount);
    }
}

static void amounts_print_all_digits(void **state) {
    (void)state;
    const struct {
        int64_t amount;
        int digits;
        const char *text;
    } cases[] = {{2999, 2, "29.99"}, {5, 2, "0.05"}, {-5, 2, "-0.05"}, {0, 3, "0.000"},
        {3000, 0, "3000"}, {-MONEY_MAX, 2, "-1000000000000.00"}, {12345, 4, "1.2345"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_t buf;
        buf_create(&buf);
        money_print(&buf, cases[i].amount, cases[i].digits);
        assert_true(span_eq(buf_view(&buf), span_of(cases[i].text)));
        int64_t back;
        assert_int_equal(money_parse(buf_view(&buf), cases[i].digits, &back), 0);
        assert_true(back == cases[i].amount);
        buf_destroy(&buf);
    }
}

static void assert_rate(int err, rate_t rate, int64_t units, int scale) {
    assert_int_equal(err, 0);
    assert_true(rate.units == units);
    assert_int_equal(rate.scale, scale);
}

static void rates_parse(void **state) {
    (void)state;
    rate_t rate;
    assert_rate(rate_parse(SPAN("8.25"), &rate), rate, 825, 2);
    assert_rate(rate_parse(SPAN("0.0825"), &rate), rate, 825, 4);
    assert_rate(rate_parse(SPAN("15.00"), &rate), rate, 15, 0);
    assert_rate(rate_parse(SPAN("-1.5"), &rate), rate, -15, 1);
    assert_rate(rate_parse(SPAN("0.123456789000"), &rate), rate, 123456789, 9);
    assert_int_equal(rate_parse(SPAN("0.1234567891"), &rate), ERR_RANGE);
    assert_int_equal(rate_parse(SPAN("99999999999.123456789"), &rate), ERR_RANGE);
    assert_int_equal(rate_parse(SPAN("8,25"), &rate), ERR_INVALID);
}

static void doubles_mean_their_shortest_text(void **state) {
    (void)state;
    rate_t rate;
    assert_rate(rate_of_double(8.25, &rate), rate, 825, 2);
    assert_rate(rate_of_double(0.1, &rate), rate, 1, 1);
    assert_rate(rate_of_double(0.1 + 0.2, &rate), rate, 3, 1);
    assert_rate(rate_of_double(19, &rate), rate, 19, 0);
    assert_rate(rate_of_double(-7.7, &rate), rate, -77, 1);
    assert_rate(rate_of_double(1e6, &rate), rate, 1000000, 0);
    assert_rate(rate_of_double(1e-5, &rate), rate, 1, 5);
    assert_rate(rate_of_double(1e-300, &rate), rate, 0, 0);
    assert_rate(rate_of_double(100.0 / 3, &rate), rate, INT64_C(33333333333), 9);
    assert_rate(rate_of_double(0, &rate), rate, 0, 0);
    assert_rate(rate_of_double(-0.0, &rate), rate, 0, 0);
    assert_int_equal(rate_of_double(NAN, &rate), ERR_INVALID);
    assert_int_equal(rate_of_double(INFINITY, &rate), ERR_INVALID);
    assert_int_equal(rate_of_double(1e300, &rate), ERR_RANGE);
}

static int64_t applied(int64_t amount, const char *percent, money_rounding_t rounding) {
    rate_t rate;
    int64_t out = -1;
    assert_int_equal(rate_parse(span_of(percent), &rate), 0);
    assert_int_equal(rate_apply(amount, rate, 100, rounding, &out), 0);
    return out;
}

static void rounding_is_once_and_named(void **state) {
    (void)state;
    assert_true(applied(10000, "8.25", MONEY_HALF_UP) == 825);
    assert_true(applied(1, "50", MONEY_HALF_UP) == 1);   /* 0.5 */
    assert_true(applied(1, "50", MONEY_HALF_EVEN) == 0); /* 0.5 */
    assert_true(applied(3, "50", MONEY_HALF_EVEN) == 2); /* 1.5 */
    assert_true(applied(5, "50", MONEY_HALF_EVEN) == 2); /* 2.5 */
    assert_true(applied(-1, "50", MONEY_HALF_UP) == -1);
    assert_true(applied(-5, "50", MONEY_HALF_EVEN) == -2);
    assert_true(applied(1, "49.999999999", MONEY_HALF_UP) == 0);
    assert_true(applied(MONEY_MAX, "99.999999999", MONEY_HALF_UP) == INT64_C(99999999999000));
}

static void products_beyond_the_range_are_refused(void **state) {
    (void)state;
    int64_t out = 7;
    assert_int_equal(rate_apply(MONEY_MAX, (rate_t){101, 0}, 100, MONEY_HALF_UP, &out), ERR_RANGE);
    assert_int_equal(
        rate_apply(MONEY_MAX, (rate_t){INT64_MAX, 0}, 1, MONEY_HALF_UP, &out), ERR_RANGE);
    assert_int_equal(rate_apply(INT64_MAX, (rate_t){1, 0}, 100, MONEY_HALF_UP, &out), ERR_RANGE);
    assert_int_equal(rate_apply(1, (rate_t){1, 0}, 0, MONEY_HALF_UP, &out), ERR_RANGE);
    assert_int_equal(rate_contained(1, (rate_t){-100, 0}, 100, MONEY_HALF_UP, &out), ERR_RANGE);
    assert_int_equal(money_add(MONEY_MAX, 1, &out), ERR_RANGE);
    assert_int_equal(money_add(INT64_MIN, INT64_MIN, &out), ERR_RANGE);
    assert_int_equal(money_mul(INT64_MAX, INT64_MAX, &out), ERR_RANGE);
    assert_true(out == 7);
    assert_int_equal(money_mul(1999, 3, &out), 0);
    assert_true(out == 5997);
}

static void contained_tax_is_taken_out_of_the_gross(void **state) {
    (void)state;
    int64_t out;
    assert_int_equal(rate_contained(11900, (rate_t){19, 0}, 100, MONEY_HALF_UP, &out), 0);
    assert_true(out == 1900);
    assert_int_equal(rate_contained(1000, (rate_t){77, 1}, 100, MONEY_HALF_UP, &out), 0);
    assert_true(out == 71); /* 71.49… */
    assert_int_equal(rate_contained(1200, (rate_t){2, 1}, 1, MONEY_HALF_UP, &out), 0);
    assert_true(out == 200);
}

static void splits_add_up(void **state) {
    (void)state;
    int64_t parts[3];
    money_split(100, (int64_t[]){1, 1, 1}, parts, 3);
    assert_memory_equal(parts, ((int64_t[]){34, 33, 33}), sizeof parts);
    money_split(-100, (int64_t[]){1, 1, 1}, parts, 3);
    assert_memory_equal(parts, ((int64_t[]){-34, -33, -33}), sizeof parts);
    money_split(10, (int64_t[]){1, 5, 6}, parts, 3); /* 0.83, 4.17, 5.0 */
    assert_memory_equal(parts, ((int64_t[]){1, 4, 5}), sizeof parts);
    money_split(7, (int64_t[]){0, 0, 0}, parts, 3);
    assert_memory_equal(parts, ((int64_t[]){7, 0, 0}), sizeof parts);
    money_split(7, (int64_t[]){0, 2, 2}, parts, 3);
    assert_memory_equal(parts, ((int64_t[]){0, 4, 3}), sizeof parts);
    money_split(0, (int64_t[]){1, 2, 3}, parts, 3);
    assert_memory_equal(parts, ((int64_t[]){0, 0, 0}), sizeof parts);
    money_split(5, NULL, NULL, 0);
}

/* Against the plain definition: shares rounded down, the missing units to the largest remainders in order. */
static void split_plainly(int64_t total, const int64_t *weights, int64_t *parts, size_t n) {
    __int128 sum = 0;
    int64_t given = 0;
    for (size_t i = 0; i < n; i++)
        sum += weights[i];
    __int128 rest[16];
    for (size_t i = 0; i < n; i++) {
        parts[i] = (int64_t)((__int128)total * weights[i] / sum);
        rest[i] = (__int128)total * weights[i] % sum;
        given += parts[i];
    }
    for (; given < total; given++) {
        size_t best = 0;
        for (size_t i = 1; i < n; i++) {
            if (rest[i] > rest[best]) best = i;
        }
        parts[best]++;
        rest[best] = -1;
    }
}

static void splits_match_the_definition(void **state) {
    (void)state;
    uint64_t random = 42;
    for (int round = 0; round < 5000; round++) {
        int64_t weights[16], parts[16], expected[16];
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        size_t n = 1 + (random >> 60);
        for (size_t i = 0; i < n; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            weights[i] = 1 + (int64_t)(random >> 33) % (round % 2 ? 5 : 1000000000);
        }
        int64_t total = (int64_t)(random >> 20) % (round % 3 ? 1000 : MONEY_MAX);
        money_split(total, weights, parts, n);
        split_plainly(total, weights, expected, n);
        assert_memory_equal(parts, expected, n * sizeof parts[0]);
    }
}

static void currencies_have_their_digits(void **state) {
    (void)state;
    assert_int_equal(currency_digits(SPAN("USD")), 2);
    assert_int_equal(currency_digits(SPAN("EUR")), 2);
    assert_int_equal(currency_digits(SPAN("JPY")), 0);
    assert_int_equal(currency_digits(SPAN("KWD")), 3);
    assert_int_equal(currency_digits(SPAN("CLF")), 4);
    assert_int_equal(currency_digits(SPAN("ZWG")), 2);
    assert_int_equal(currency_digits(SPAN("usd")), -1);
    assert_int_equal(currency_digits(SPAN("XTS")), -1);
    assert_int_equal(currency_digits(SPAN("XAU")), -1);
    assert_int_equal(currency_digits(SPAN("DEM")), -1);
    assert_int_equal(currency_digits(SPAN("US")), -1);
    assert_int_equal(currency_digits(SPAN("D A")), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_parse_exactly),
        cmocka_unit_test(amounts_print_all_digits),
        cmocka_unit_test(rates_parse),
        cmocka_unit_test(doubles_mean_their_shortest_text),
        cmocka_unit_test(rounding_is_once_and_named),
        cmocka_unit_test(products_beyond_the_range_are_refused),
        cmocka_unit_test(contained_tax_is_taken_out_of_the_gross),
        cmocka_unit_test(splits_add_up),
        cmocka_unit_test(splits_match_the_definition),
        cmocka_unit_test(currencies_have_their_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
