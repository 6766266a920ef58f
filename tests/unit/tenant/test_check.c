/* test_check.c: each kind of mistake is found with its file, line, kind and value; a good edition passes. */
#include "lua/budget.h"
#include "tenant/rig.h"

static edition_t *edition_with(const char *pricing, const char *routes, const char *sample) {
    edition_t *edition = rig_edition("acme", pricing, NULL, NULL, NULL);
    if (routes) {
        edition->text[RULE_ROUTES] = span_of(routes);
        edition->own[RULE_ROUTES] = true;
    }
    edition->samples = arena_zalloc(&edition->arena, sizeof(span_t));
    edition->sample_names = arena_zalloc(&edition->arena, sizeof(span_t));
    edition->samples[0] =
        span_of(sample ? sample : "{\"items\":[{\"sku\":\"A\",\"price\":10,\"quantity\":2}]}");
    edition->sample_names[0] = SPAN("samples/one.json");
    edition->nsamples = 1;
    return edition;
}

/* The report's text of an edition; free with buf_destroy. */
static int checked(edition_t *edition, buf_t *text) {
    check_report_t report;
    buf_t json;
    buf_create(text);
    buf_create(&json);
    check_report_create(&report);
    int err = edition_check(edition, NULL, &report);
    assert_int_equal(err == 0, report.errors == 0);
    check_report_text(&report, "tenants", text);
    check_report_json(&report, &json);
    buf_char(text, 0);
    arena_t arena;
    value_t value;
    char why[200] = "";
    static const value_limits_t LIMITS = {.depth = 8, .nodes = 10000, .bytes = 100000};
    arena_create(&arena);
    assert_int_equal(
        value_parse(buf_view(&json), &arena, &LIMITS, true, &value, why, sizeof why), 0);
    assert_int_equal(value_field(&value, "ok")->boolean, err == 0);
    arena_destroy(&arena);
    buf_destroy(&json);
    check_report_destroy(&report);
    edition_unref(edition);
    return err;
}

static void expect_finding(edition_t *edition, int err, const char *says) {
    buf_t text;
    int got = checked(edition, &text);
    if (got != err || !strstr(text.ptr, says)) fail_msg("%s (wanted: %s)", text.ptr, says);
    buf_destroy(&text);
}

static void a_good_edition_passes(void **state) {
    (void)state;
    expect_finding(
        edition_with("return function() return {} end", "return { ['GET /x'] = function() end }",
            "{\"items\":[{\"sku\":\"A\",\"price\":10,\"quantity\":2}],\"expect\":{\"total\":20,"
            "\"discount\":0.00,\"violations\":[]}}"),
        0, "tenants/acme: ok, 0 errors, 0 warnings; 1 sample cart priced; at most");
}

static void mistakes_in_rules_have_a_place(void **state) {
    (void)state;
    const struct {
        const char *text;
        int err;
        const char *says;
    } cases[] = {
        {"return function(cart)\n  return {\nend", ERR_SYNTAX,
            "tenants/acme/pricing.lua:3: pricing: "},
        {"return function(cart)\n  return cart.x.y\nend", ERR_RULE_ERROR,
            "tenants/acme/pricing.lua:2: pricing: attempt to index field 'x'"},
        {"return function(cart)\n  return { { line = 7, amount = 1, reason = 'r' } }\nend",
            ERR_BAD_RESULT,
            "tenants/acme/pricing.lua:1: pricing: adjustment 1: line must be the number of a line, "
            "1 to 1, not 7 (bad_result, samples/one.json)"},
        {"return function(cart)\n  if cart.x then prnit(1) end\nend", ERR_FORBIDDEN,
            "tenants/acme/pricing.lua:2: pricing: reads the global \"prnit\""},
        {"local x\ncount = 1\nreturn function() end", ERR_FORBIDDEN,
            "tenants/acme/pricing.lua:2: pricing: assigns the global \"count\""},
        {"return function()\n  return require('os')\nend", ERR_FORBIDDEN,
            "pricing.lua:2: pricing: reads the global \"require\""},
        {"return 5", ERR_BAD_RESULT, "tenants/acme/pricing.lua:1: pricing: the file returns a"},
        {"", ERR_BAD_RESULT, "tenants/acme/pricing.lua:"},
        {"return function() while true do end end", ERR_OK, "budget_"},
        {"return function() local t = {} for i = 1, 1e9 do t[i] = {} end end", ERR_OK, "budget_"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        buf_t text;
        int got = checked(edition_with(cases[i].text, NULL, NULL), &text);
        bool right = cases[i].err ? got == cases[i].err : got != 0;
        if (!right || !strstr(text.ptr, cases[i].says))
            fail_msg("%s (wanted: %s)", text.ptr, cases[i].says);
        buf_destroy(&text);
    }
}

static void a_fault_without_a_line_has_the_functions(void **state) {
    (void)state;
    expect_finding(
        edition_with("local code = {}\nreturn function()\n  error(code)\nend", NULL, NULL),
        ERR_RULE_ERROR,
        "tenants/acme/pricing.lua:2: pricing: the script raised a value of type table");
}

static void what_several_samples_show_is_one_finding(void **state) {
    (void)state;
    static span_t carts[3],
        names[] = {{"samples/a.json", 14}, {"samples/b.json", 14}, {"samples/c.json", 14}};
    buf_t text;
    edition_t *edition = edition_with(
        "return function(cart)\n  if #cart.items > 1 then error('two') end\nend", NULL, NULL);
    carts[0] = carts[1] =
        SPAN("{\"items\":[{\"sku\":\"A\",\"price\":1},{\"sku\":\"B\",\"price\":1}]}");
    carts[2] = SPAN("{\"items\":[{\"sku\":\"A\",\"price\":1}]}");
    edition->samples = carts;
    edition->sample_names = names;
    edition->nsamples = 3;
    assert_int_equal(checked(edition, &text), ERR_RULE_ERROR);
    const char *wanted =
        "tenants/acme/pricing.lua:2: pricing: two (rule_error, samples/a.json and 1 more)\n"
        "tenants/acme: refused, 1 error, 0 warnings; 1 of 3 sample carts priced; ";
    if (strncmp(text.ptr, wanted, strlen(wanted)) != 0) fail_msg("%s", text.ptr);
    buf_destroy(&text);
}

static void every_mistake_is_listed(void **state) {
    (void)state;
    buf_t text;
    edition_t *edition = edition_with("return function() return a + b end", "return 1", NULL);
    edition->text[RULE_TAX] = SPAN("return function(");
    edition->own[RULE_TAX] = true;
    assert_int_not_equal(checked(edition, &text), 0);
    assert_non_null(strstr(text.ptr, "\"a\""));
    assert_non_null(strstr(text.ptr, "\"b\""));
    assert_non_null(strstr(text.ptr, "acme/routes.lua:1: routes: "));
    assert_non_null(strstr(text.ptr, "acme/tax.lua:1: tax: "));
    assert_non_null(strstr(text.ptr, "refused, 4 errors, 0 warnings; no sample cart tried\n"));
    buf_destroy(&text);
}

static void routes_are_tried_against_the_router(void **state) {
    (void)state;
    const struct {
        const char *text, *says;
    } cases[] = {
        {"return { ['GET /api/products'] = function() end }",
            "takes a path that belongs to the platform"},
        {"return { ['GET /healthz'] = function() end }",
            "takes a path that belongs to the platform"},
        {"return { ['FETCH /x'] = function() end }", "a route is a method and a path"},
        {"return { ['GET /x'] = 5 }", "is not a function"},
        {"return { function() end }", "has a name that is not text"},
        {"return function() end", "instead of a table of routes"},
        {"return { ['GET /x/:a'] = function() end, ['GET /x/:b'] = function() end }",
            "the route is there already"},
        {"return { ['GET /x'] = function() return io.open('x') end }", "reads the global \"io\""},
        {"error('at load')", "at load"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        buf_t text;
        int err = checked(edition_with("return function() end", cases[i].text, NULL), &text);
        if (!err || !strstr(text.ptr, cases[i].says) ||
            !strstr(text.ptr, "tenants/acme/routes.lua"))
            fail_msg("%s (wanted: %s)", text.ptr, cases[i].says);
        buf_destroy(&text);
    }
}

static void samples_are_the_tenants_regression_test(void **state) {
    (void)state;
#define ITEMS "\"items\":[{\"sku\":\"A\",\"price\":29.99,\"quantity\":2}]"
    static const char RULE[] = "return function() return {} end";
    expect_finding(edition_with(RULE, NULL, "{" ITEMS ",\"expect\":{\"total\":59.99}}"),
        ERR_UNPROCESSABLE,
        "tenants/acme/samples/one.json: sample: expects total 59.99, but the rules give 59.98");
    expect_finding(edition_with(RULE, NULL, "{" ITEMS ",\"expect\":{\"violations\":[\"min\"]}}"),
        ERR_UNPROCESSABLE, "expects 1 violations, but the rules give 0");
    expect_finding(edition_with(RULE, NULL, "{" ITEMS ",\"expect\":{\"totl\":1}}"), ERR_INVALID,
        "unknown name \"totl\"");
    expect_finding(edition_with(RULE, NULL, "{\"items\":[{\"price\":1.999}]}"), ERR_INVALID,
        "items 1: price must be an amount of USD");
    expect_finding(edition_with(RULE, NULL, "{\"items\":[{\"price\":1,\"quantity\":0}]}"),
        ERR_INVALID, "items 1: quantity");
    expect_finding(edition_with(RULE, NULL, "{\"items\":[{\"price\":1,\"quantitty\":2}]}"),
        ERR_INVALID, "samples/one.json: sample: items 1: unknown field \"quantitty\"");
    expect_finding(
        edition_with(RULE, NULL, "{" ITEMS ",\"code\":[]}"), ERR_INVALID, "unknown field \"code\"");
    expect_finding(edition_with(RULE, NULL, "{\"items\":5}"), ERR_INVALID, "items must be a list");
    expect_finding(edition_with(RULE, NULL, "nonsense"), ERR_BAD_JSON, "samples/one.json");
    expect_finding(edition_with(RULE, NULL, "{" ITEMS ",\"now\":\"yesterday\"}"), ERR_INVALID,
        "now must be a time");
#undef ITEMS
}

static void a_wrong_tenant_document_is_named(void **state) {
    (void)state;
    edition_t *edition = edition_with("return function() end", NULL, NULL);
    edition->document = SPAN("{\"settings\":{\"currency\":\"ABC\"}}");
    expect_finding(
        edition, ERR_INVALID, "tenants/acme/tenant.json: tenant: settings.currency: \"ABC\"");
    edition = edition_with("return function() end", NULL, NULL);
    edition->document = SPAN("{");
    buf_t text;
    assert_int_not_equal(checked(edition, &text), 0);
    assert_non_null(strstr(text.ptr, "tenant.json"));
    buf_destroy(&text);
}

static void the_document_must_be_one_that_can_be_stored(void **state) {
    (void)state;
#define REST ",\"name\":\"A\",\"settings\":{\"currency\":\"USD\"}}"
    const struct {
        const char *document, *says;
    } cases[] = {
        {"{\"slug\":\"acme\"" REST, NULL},
        {"{\"slug\":\"lima\"" REST, "slug: \"lima\" is not the folder's name, \"acme\" (invalid)"},
        {"{\"subdomain\":\"acme\"" REST, "slug: is required (invalid)"},
        {"{\"slug\":\"acme\",\"settings\":{\"currency\":\"USD\"}}", "name: is required"},
        {"{\"slug\":\"acme\",\"name\":\"A\"}", "settings: is required"},
        {"{\"slug\":\"acme\",\"id\":7" REST, "id: must be a text"},
        {"{\"slug\":\"acme\",\"id\":\"seven\"" REST, "id: \"seven\" must be a UUID"},
        {"{\"slug\":\"acme\",\"subdomain\":\"A.b\"" REST, "\"A.b\" must be a host name's label"},
        {"{\"slug\":\"acme\",\"contactEmail\":\"nobody\"" REST, "must be an e-mail address"},
        {"{\"slug\":\"acme\",\"branding\":{\"accentColor\":\"red\"}" REST,
            "branding.accentColor: \"red\" must be a colour"},
        {"{\"slug\":\"acme\",\"custmDomain\":\"a.b\"" REST,
            "custmDomain: is not a field of tenant.json"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        edition_t *edition = edition_with("return function() end", NULL, NULL);
        edition->document = span_of(cases[i].document);
        const char *says = cases[i].says;
        expect_finding(edition, says ? ERR_INVALID : 0, says ? says : "acme: ok, 0 errors");
    }
#undef REST
}

static void warnings_come_before_failures(void **state) {
    (void)state;
    buf_t text;
    /* 60,000 of at most 10,000,000 instructions is little; 2.5 MB alive of 4 MB is more than half. */
    int err = checked(
        edition_with(
            "return function() local t = {} for i = 1, 10 do t[i] = ('x'):rep(250000) .. i end end",
            NULL, NULL),
        &text);
    assert_int_equal(err, 0);
    if (!strstr(text.ptr, "samples/one.json: warning: budget: this sample uses"))
        fail_msg("%s", text.ptr);
    buf_destroy(&text);
    edition_t *edition = edition_with("return function() end", NULL, NULL);
    edition->nsamples = 0;
    expect_finding(edition, 0, "warning: sample: there is no sample cart");
}

static uint64_t busy_ns;
/* A machine on which others run for 4 ms between any two looks. */
static uint64_t busy_clock(void) {
    return busy_ns += 4000000;
}

static void a_busy_machine_does_not_warn(void **state) {
    (void)state;
    buf_t text;
    budget_clocks_t real = budget_clocks;
    budget_clocks.precise = budget_clocks.coarse = busy_clock;
    int err = checked(edition_with("return function() end", NULL, NULL), &text);
    budget_clocks = real;
    assert_int_equal(err, 0);
    if (strstr(text.ptr, "microseconds")) fail_msg("%s", text.ptr);
    buf_destroy(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_edition_passes),
        cmocka_unit_test(mistakes_in_rules_have_a_place),
        cmocka_unit_test(a_fault_without_a_line_has_the_functions),
        cmocka_unit_test(what_several_samples_show_is_one_finding),
        cmocka_unit_test(every_mistake_is_listed),
        cmocka_unit_test(routes_are_tried_against_the_router),
        cmocka_unit_test(samples_are_the_tenants_regression_test),
        cmocka_unit_test(a_wrong_tenant_document_is_named),
        cmocka_unit_test(the_document_must_be_one_that_can_be_stored),
        cmocka_unit_test(warnings_come_before_failures),
        cmocka_unit_test(a_busy_machine_does_not_warn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
