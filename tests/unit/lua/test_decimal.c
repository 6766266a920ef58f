/* test_decimal.c: decimals keep their text, compare as numbers, and do no arithmetic. */
#include "lua/bench.h"
#include "lua/decimal.h"

static int compare(const char *a, const char *b) {
    return decimal_compare(span_of(a), span_of(b));
}

static void test_compares_exactly(void **state) {
    (void)state;
    const char *const rising[] = {"-1e999999999", "-10", "-9.99", "-1e-3", "0", "1e-999999999",
        "0.1", "0.10000000000000000000000000000000001", "1", "1.5", "9007199254740993",
        "9007199254740994", "1e20", "100000000000000000001", "1e999999999"};
    int n = sizeof rising / sizeof rising[0];
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            assert_int_equal(compare(rising[i], rising[j]), (i > j) - (i < j));
    }
}

static void test_equal_values_of_other_text(void **state) {
    (void)state;
    const char *const same[][2] = {{"1.0", "1"}, {"1.00", "1.0"}, {"10", "1e1"}, {"0.5", "5e-1"},
        {"0", "-0.000"}, {"0e5", "0"}, {"1200", "0.0012e6"}, {"1E+2", "100"}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_int_equal(compare(same[i][0], same[i][1]), 0);
        assert_int_equal(compare(same[i][1], same[i][0]), 0);
    }
}

static void test_valid_is_what_json_allows(void **state) {
    (void)state;
    const char *const good[] = {"0", "-0", "1", "29.99", "1e5", "1E-5", "1.5e+10", "1e999999999"};
    const char *const bad[] = {"", "-", "01", "1.", ".5", "+1", "1e", "1e+", "0x1", "1 ", " 1",
        "1e1000000000", "nan", "Infinity", "1.2.3", "--1", "1e5.5"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(decimal_valid(span_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(decimal_valid(span_of(bad[i])));
    char text[1002];
    memset(text, '9', sizeof text);
    assert_true(decimal_valid((span_t){text, 1000}));
    assert_false(decimal_valid((span_t){text, 1001}));
}

static void test_scripts_see_numbers(void **state) {
    bench_t *bench = *state;
    bench_expect(bench, "return tostring(decimal.new('29.990'))", "29.990");
    bench_expect(bench, "return tostring(decimal.new(0.1))", "0.1");
    bench_expect(bench, "return tostring(decimal.new(29.99)) .. decimal.new(3)", "29.993");
    bench_expect(bench, "return 'price ' .. decimal.new('1.50') .. ' EUR'", "price 1.50 EUR");
    bench_expect(bench, "return tostring(decimal.new('1.0') == decimal.new('1.00'))", "true");
    bench_expect(bench, "return tostring(decimal.new('1.1') == decimal.new('1.00'))", "false");
    bench_expect(bench, "return tostring(decimal.new('0.3') < decimal.new('0.30000001'))", "true");
    bench_expect(bench, "return tostring(decimal.new('2') >= decimal.new('2.0'))", "true");
    bench_expect(
        bench, "return decimal.compare(decimal.new('1.5'), 2) .. decimal.compare('2.0', 2)", "-10");
    bench_expect(bench,
        "return tostring(decimal.is(decimal.new('1'))) .. tostring(decimal.is('1'))", "truefalse");
}

static void test_refusals(void **state) {
    bench_t *bench = *state;
    bench_expect(
        bench, "local v, text, name = decimal.new('1,5') return tostring(v) .. name", "nilinvalid");
    bench_expect(bench, "return select(3, decimal.new(0/0)) .. select(3, decimal.new({}))",
        "invalidinvalid");
    bench_expect(
        bench, "return tostring(pcall(function() return decimal.new('1') + 1 end))", "false");
    bench_expect(bench, "return tostring(pcall(decimal.compare, '1', 'x'))", "false");
    bench_expect(bench, "return tostring(getmetatable(decimal.new('1')))", "decimal");
    bench_expect(bench,
        "return tostring(decimal.is(io.stdout)) .. tostring(decimal.is(newproxy(true)))",
        "falsefalse");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compares_exactly),
        cmocka_unit_test(test_equal_values_of_other_text),
        cmocka_unit_test(test_valid_is_what_json_allows),
        CASE(test_scripts_see_numbers),
        CASE(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
