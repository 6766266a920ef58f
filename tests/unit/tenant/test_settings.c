/* test_settings.c: what a tenant's document becomes, and which wrong field is named. */
#include "tenant/rig.h"

static void defaults_fill_in(void **state) {
    (void)state;
    settings_t *settings = rig_settings("");
    assert_string_equal(settings->currency, "USD");
    assert_int_equal(settings->digits, 2);
    assert_int_equal(settings->rounding, MONEY_HALF_UP);
    assert_false(settings->round_per_order);
    assert_int_equal(settings->on_rule_error, ON_RULE_ERROR_LAST_GOOD);
    assert_non_null(settings->zone);
    assert_int_equal(value_field(&settings->for_rules, "shippingRate")->integer, 500);
    assert_true(span_eq(value_field(&settings->for_rules, "taxRate")->string, SPAN("0")));
    assert_null(value_field(&settings->for_rules, "freeShippingThreshold"));
    settings_unref(settings);
}

static void rules_see_minor_units_and_exact_rates(void **state) {
    (void)state;
    settings_t *settings = rig_settings(
        "\"currency\":\"KWD\",\"taxRate\":0.09,\"freeShippingThreshold\":50.005,"
        "\"shippingRate\":\"1.250\",\"lowStockThreshold\":10,\"rounding\":\"half-even\","
        "\"taxRounding\":\"order\",\"onRuleError\":\"refuse\",\"timeZone\":\"Asia/Tokyo\"");
    assert_int_equal(settings->digits, 3);
    assert_int_equal(settings->rounding, MONEY_HALF_EVEN);
    assert_true(settings->round_per_order);
    assert_int_equal(settings->on_rule_error, ON_RULE_ERROR_REFUSE);
    assert_int_equal(value_field(&settings->for_rules, "freeShippingThreshold")->integer, 50005);
    assert_int_equal(value_field(&settings->for_rules, "shippingRate")->integer, 1250);
    assert_true(span_eq(value_field(&settings->for_rules, "taxRate")->string, SPAN("0.09")));
    assert_int_equal(value_field(&settings->for_rules, "lowStockThreshold")->integer, 10);
    settings_unref(settings);
}

static void yen_have_no_minor_unit(void **state) {
    (void)state;
    settings_t *settings = rig_settings("\"currency\":\"JPY\",\"freeShippingThreshold\":5000");
    assert_int_equal(settings->digits, 0);
    assert_int_equal(value_field(&settings->for_rules, "freeShippingThreshold")->integer, 5000);
    assert_int_equal(value_field(&settings->for_rules, "shippingRate")->integer, 500);
    settings_unref(settings);
}

static void rate_limits_are_read_by_name(void **state) {
    (void)state;
    settings_t *settings =
        rig_settings("\"rateLimits\":{\"POST /x\":\"20/1m burst 5\",\"*\":\"off\"}");
    assert_int_equal(settings->nlimits, 2);
    for (size_t i = 0; i < 2; i++) {
        bool any = span_eq(settings->limits[i].name, SPAN("*"));
        assert_int_equal(settings->limits[i].rate.count, any ? 0 : 20);
        assert_int_equal(settings->limits[i].rate.burst, any ? 0 : 5);
    }
    settings_unref(settings);
    settings = rig_settings("\"rateLimits\":{}");
    assert_int_equal(settings->nlimits, 0);
    settings_unref(settings);
}

static void wrong_fields_are_named(void **state) {
    (void)state;
    static const value_limits_t LIMITS = {.depth = 16, .nodes = 1000, .bytes = 65536};
    const struct {
        const char *json, *names;
    } cases[] = {
        {"{\"settings\":{\"currency\":\"XQZ\"}}", "settings.currency"},
        {"{\"settings\":{\"currency\":7}}", "currency"},
        {"{\"settings\":{\"timeZone\":\"Mars/Olympus\"}}", "settings.timeZone"},
        {"{\"settings\":{\"taxRate\":\"nine\"}}", "settings.taxRate"},
        {"{\"settings\":{\"taxRate\":\"-0.1\"}}", "settings.taxRate"},
        {"{\"settings\":{\"taxRate\":true}}", "settings.taxRate"},
        {"{\"settings\":{\"freeShippingThreshold\":\"50.001\"}}", "settings.freeShippingThreshold"},
        {"{\"settings\":{\"shippingRate\":\"-1\"}}", "settings.shippingRate"},
        {"{\"settings\":{\"rateLimits\":\"600/60s\"}}", "settings.rateLimits"},
        {"{\"settings\":{\"rateLimits\":{\"/x\":\"often\"}}}",
            "settings.rateLimits[\"/x\"]: \"often\""},
        {"{\"settings\":{\"rateLimits\":{\"/x\":600}}}",
            "settings.rateLimits[\"/x\"]: must be text"},
        {"{\"settings\":{\"rounding\":\"up\"}}", "settings.rounding"},
        {"{\"settings\":{\"taxRounding\":\"never\"}}", "settings.taxRounding"},
        {"{\"settings\":{\"onRuleError\":\"ignore\"}}", "settings.onRuleError"},
        {"{\"settings\":[1]}", "settings"},
        {"{\"name\":5}", "name"},
        {"[1]", "object"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        arena_t arena;
        value_t document;
        char why[200] = "";
        arena_create(&arena);
        assert_int_equal(
            value_parse(span_of(cases[i].json), &arena, &LIMITS, true, &document, why, sizeof why),
            0);
        assert_null(settings_new(&document, why, sizeof why));
        if (!strstr(why, cases[i].names)) fail_msg("%s: %s", cases[i].json, why);
        arena_destroy(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_in),
        cmocka_unit_test(rules_see_minor_units_and_exact_rates),
        cmocka_unit_test(yen_have_no_minor_unit),
        cmocka_unit_test(rate_limits_are_read_by_name),
        cmocka_unit_test(wrong_fields_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
