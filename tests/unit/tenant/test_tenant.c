/* test_tenant.c: what a worker does when a rule fails, editions swap, VMs are many, or a tenant takes too much time. */
#include "tenant/rig.h"
#include "base/log.h"
#include "base/loop.h"
#include "tenant/share.h"
#include "tenant/tenant.h"

#define GOOD "return function() return { { line = 1, amount = -100, reason = 'good' } } end"
#define BETTER "return function() return { { line = 1, amount = -200, reason = 'better' } } end"
#define BAD "return function(cart) return cart.nothing.at_all end"
#define ENDLESS "return function() while true do end end"

typedef struct fixture {
    loop_t *loop;
    tenants_options_t options;
    tenants_t *tenants;
    settings_t *last_good, *refuse;
    arena_t arena;
    sample_t sample;
    quote_t quote;
    uint64_t now_ms;
} fixture_t;

static fixture_t fixture;

static uint64_t read_clock(void *data) {
    (void)data;
    return fixture.now_ms;
}

static int open_worker(void **state) {
    (void)state;
    char why[200];
    memset(&fixture, 0, sizeof fixture);
    fixture.loop = loop_new();
    fixture.now_ms = 1000000;
    tenants_options_default(&fixture.options, fixture.loop);
    fixture.options.now_ms = read_clock;
    fixture.options.share_percent = 0;
    fixture.options.limits.time_ms = 60000; /* instructions end what is endless, on any machine */
    fixture.options.limits.instructions = 100000;
    fixture.tenants = tenants_new(&fixture.options);
    fixture.last_good = rig_settings("");
    fixture.refuse = rig_settings("\"onRuleError\":\"refuse\"");
    arena_create(&fixture.arena);
    return sample_parse(SPAN("{\"items\":[{\"sku\":\"A\",\"price\":10,\"quantity\":1}]}"),
        fixture.last_good, &fixture.arena, &fixture.sample, why, sizeof why);
}

static int close_worker(void **state) {
    (void)state;
    tenants_delete(fixture.tenants);
    loop_delete(fixture.loop);
    settings_unref(fixture.last_good);
    settings_unref(fixture.refuse);
    arena_destroy(&fixture.arena);
    return 0;
}

static void swap(const char *slug, const char *pricing) {
    edition_t *edition = rig_edition(slug, pricing, NULL, NULL, NULL);
    assert_int_equal(tenants_swap(fixture.tenants, edition), 0);
    edition_unref(edition);
}

static int price(const char *slug, const settings_t *settings) {
    tenant_t *tenant = tenants_find(fixture.tenants, span_of(slug));
    assert_non_null(tenant);
    return tenant_price(tenant, settings, &fixture.sample.input, &fixture.arena, &fixture.quote);
}

static const char *reason(void) {
    static char text[400];
    span_t span = fixture.quote.priced && fixture.quote.discounts.count
                      ? fixture.quote.discounts.items[0].reason
                      : fixture.quote.reason;
    snprintf(text, sizeof text, "%.*s", (int)span.len, span.len ? span.ptr : "");
    return text;
}

static tenant_counts_t counts(const char *slug) {
    tenant_counts_t out;
    tenant_counts(tenants_find(fixture.tenants, span_of(slug)), &out);
    return out;
}

static void the_current_edition_prices(void **state) {
    (void)state;
    swap("acme", GOOD);
    assert_int_equal(price("acme", fixture.last_good), 0);
    assert_int_equal(fixture.quote.total, 900);
    swap("acme", BETTER);
    assert_int_equal(price("acme", fixture.last_good), 0);
    assert_int_equal(fixture.quote.total, 800);
    assert_string_equal(
        fixture.quote.edition, tenant_edition(tenants_find(fixture.tenants, SPAN("acme")))->hash);
}

static void a_failing_rule_falls_back_and_says_so(void **state) {
    (void)state;
    swap("acme", GOOD);
    price("acme", fixture.last_good);
    char good[65];
    memcpy(good, fixture.quote.edition, sizeof good);
    swap("acme", BAD);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(price("acme", fixture.last_good), 0);
        assert_true(fixture.quote.priced);
        assert_true(fixture.quote.fell_back);
        assert_string_equal(fixture.quote.edition, good);
        assert_string_equal(reason(), "good");
        assert_string_equal(fixture.quote.fault.file, "pricing.lua");
        assert_int_equal(fixture.quote.fault.err, ERR_RULE_ERROR);
    }
    assert_int_equal(counts("acme").fell_back, 3);
}

static void refuse_refuses(void **state) {
    (void)state;
    swap("acme", GOOD);
    price("acme", fixture.refuse);
    swap("acme", BAD);
    assert_int_equal(price("acme", fixture.refuse), ERR_UNAVAILABLE);
    assert_false(fixture.quote.priced);
    assert_int_equal(fixture.quote.total, 0);
    assert_int_equal(fixture.quote.err, ERR_UNAVAILABLE);
    assert_string_equal(reason(), "the shop's rules could not price this cart (rule_error)");
    assert_string_equal(fixture.quote.fault.file, "pricing.lua");
    assert_int_equal(fixture.quote.fault.line, 1);
    assert_int_equal(counts("acme").refused, 1);
}

static void without_a_last_good_edition_nothing_is_priced(void **state) {
    (void)state;
    swap("acme", BAD);
    assert_int_equal(price("acme", fixture.last_good), ERR_UNAVAILABLE);
    assert_false(fixture.quote.priced);
}

static void a_failing_last_good_edition_prices_nothing(void **state) {
    (void)state;
    swap("acme", "return function(cart) if cart.subtotal == 1000 then error('old') end end");
    swap("acme", BAD);
    assert_int_equal(price("acme", fixture.last_good), ERR_UNAVAILABLE);
    assert_string_equal(reason(), "the shop's rules could not price this cart (rule_error)");
}

/* Bad after bad: the one that worked is kept, not the one before. */
static void only_what_worked_becomes_last_good(void **state) {
    (void)state;
    swap("acme", GOOD);
    price("acme", fixture.last_good);
    swap("acme", BAD);
    price("acme", fixture.last_good);
    swap("acme", BAD "\n");
    assert_int_equal(price("acme", fixture.last_good), 0);
    assert_string_equal(reason(), "good");
    swap("acme", BETTER);
    assert_int_equal(price("acme", fixture.last_good), 0);
    assert_false(fixture.quote.fell_back);
    assert_string_equal(reason(), "better");
}

static void the_same_edition_again_changes_nothing(void **state) {
    (void)state;
    swap("acme", GOOD);
    price("acme", fixture.last_good);
    swap("acme", GOOD);
    assert_null(tenant_last_good(tenants_find(fixture.tenants, SPAN("acme"))));
    assert_int_equal(tenants_vms(fixture.tenants), 1);
}

static void an_impossible_cart_is_not_the_rules_fault(void **state) {
    (void)state;
    price_line_t line = {.price = -5, .quantity = 1};
    price_input_t input = {.lines = &line, .nlines = 1};
    swap("acme", GOOD);
    swap("acme", BETTER);
    tenant_t *tenant = tenants_find(fixture.tenants, SPAN("acme"));
    assert_int_equal(
        tenant_price(tenant, fixture.last_good, &input, &fixture.arena, &fixture.quote),
        ERR_INVALID);
    assert_int_equal(counts("acme").fell_back, 0);
}

static void three_kills_within_a_minute_rest_the_edition(void **state) {
    (void)state;
    swap("acme", GOOD);
    price("acme", fixture.last_good);
    swap("acme", ENDLESS);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(price("acme", fixture.last_good), 0);
        assert_int_equal(fixture.quote.fault.err, ERR_BUDGET_INSTRUCTIONS);
    }
    assert_int_equal(counts("acme").budget_kills, 3);
    /* It rests: the last good edition prices, the current one is not run. */
    assert_int_equal(price("acme", fixture.last_good), 0);
    assert_true(fixture.quote.fell_back);
    assert_int_equal(counts("acme").budget_kills, 3);
    fixture.now_ms += 60001;
    price("acme", fixture.last_good);
    assert_int_equal(counts("acme").budget_kills, 4);
    swap("acme", BETTER);
    assert_int_equal(price("acme", fixture.last_good), 0);
    assert_string_equal(reason(), "better");
}

static void kills_far_apart_do_not_rest_it(void **state) {
    (void)state;
    swap("acme", GOOD);
    swap("acme", ENDLESS);
    for (int i = 1; i <= 5; i++) {
        price("acme", fixture.last_good);
        assert_int_equal(counts("acme").budget_kills, i);
        fixture.now_ms += 31000;
    }
}

static void a_resting_edition_without_a_good_one_says_when(void **state) {
    (void)state;
    swap("acme", ENDLESS);
    for (int i = 0; i < 3; i++)
        assert_int_equal(price("acme", fixture.refuse), ERR_UNAVAILABLE);
    fixture.now_ms += 20000;
    assert_int_equal(price("acme", fixture.refuse), ERR_UNAVAILABLE);
    assert_int_equal(fixture.quote.retry_after_ms, 40000);
    assert_int_equal(counts("acme").budget_kills, 3);
}

static void another_tenant_notices_nothing(void **state) {
    (void)state;
    swap("acme", ENDLESS);
    swap("tokyo", GOOD);
    for (int i = 0; i < 10; i++) {
        price("acme", fixture.last_good);
        assert_int_equal(price("tokyo", fixture.last_good), 0);
        assert_string_equal(reason(), "good");
    }
}

static void tenants_without_an_edition_use_the_defaults(void **state) {
    (void)state;
    assert_null(tenants_find(fixture.tenants, SPAN("new")));
    swap("_default", GOOD);
    assert_int_equal(price("new", fixture.last_good), 0);
    swap("_default", BETTER);
    assert_int_equal(price("new", fixture.last_good), 0);
    assert_string_equal(reason(), "better");
    swap("new", GOOD);
    swap("_default", BAD);
    assert_int_equal(price("new", fixture.last_good), 0);
    assert_string_equal(reason(), "good");
    assert_false(fixture.quote.fell_back);
    swap("_default", BETTER);
    tenants_drop(fixture.tenants, SPAN("new"));
    assert_int_equal(price("new", fixture.last_good), 0);
    assert_string_equal(reason(), "better");
}

static void too_many_vms_close_the_least_used(void **state) {
    (void)state;
    tenants_delete(fixture.tenants);
    fixture.options.vms_max = 3;
    fixture.tenants = tenants_new(&fixture.options);
    swap("_default", GOOD);
    for (int i = 0; i < 20; i++) {
        char slug[16];
        snprintf(slug, sizeof slug, "shop%d", i % 7);
        assert_int_equal(price(slug, fixture.last_good), 0);
        assert_true(tenants_vms(fixture.tenants) <= 3);
    }
}

/* A rule that fills the heap: its VM is replaced before it prices again. */
static void a_spent_vm_is_replaced(void **state) {
    (void)state;
    swap("acme", "return function(cart, ctx)\n"
                 "if ctx.channel == 'fill' then local t = {} for i = 1, 1e9 do t[i] = "
                 "('x'):rep(1000) .. i end end end");
    fixture.sample.input.channel = SPAN("fill");
    assert_int_equal(price("acme", fixture.last_good), ERR_UNAVAILABLE);
    assert_true(fixture.quote.fault.err == ERR_BUDGET_MEMORY ||
                fixture.quote.fault.err == ERR_BUDGET_INSTRUCTIONS);
    loop_turn(fixture.loop, 0);
    fixture.sample.input.channel = SPAN("web");
    assert_int_equal(price("acme", fixture.last_good), 0);
    assert_int_equal(tenants_vms(fixture.tenants), 1);
}

static void settings_are_noted_or_read_from_the_edition(void **state) {
    (void)state;
    char why[200] = "";
    edition_t *edition = rig_edition("acme", GOOD, NULL, NULL, NULL);
    edition->document = SPAN("{\"slug\":\"acme\",\"settings\":{\"currency\":\"JPY\"}}");
    assert_int_equal(tenants_swap(fixture.tenants, edition), 0);
    tenant_t *tenant = tenants_find(fixture.tenants, SPAN("acme"));
    assert_string_equal(tenant_settings(tenant, why, sizeof why)->currency, "JPY");
    tenants_settle(fixture.tenants, fixture.last_good);
    assert_ptr_equal(tenant_settings(tenant, why, sizeof why), fixture.last_good);
    swap("acme", BETTER);
    assert_ptr_equal(tenant_settings(tenant, why, sizeof why), fixture.last_good);
    edition_unref(edition);
}

static void a_share_is_spent_and_fills_again(void **state) {
    (void)state;
    share_t share;
    share_create(&share, 5);
    assert_int_equal(share_wait(&share, 1000), 0);
    share_leave(&share, 1000, 50); /* short: free */
    share_charge(&share, 20000000);
    assert_int_equal(share_wait(&share, 1000), 0);
    share_charge(&share, 10000000); /* 5 ms more than there was */
    uint64_t wait = share_wait(&share, 2000000);
    assert_int_equal(wait, 0); /* a second of clock is 50 ms of share */
    share_charge(&share, 35000000);
    wait = share_wait(&share, 2000000);
    assert_true(wait > 150 && wait < 250); /* 10 ms at 5 % are 200 ms */
    assert_int_equal(share_wait(&share, 2000000 + wait), 0);
    share_t open;
    share_create(&open, 0);
    share_charge(&open, 1000000000);
    assert_int_equal(share_wait(&open, 1000), 0);
}

#define WORKER(test) cmocka_unit_test_setup_teardown(test, open_worker, close_worker)

int main(void) {
    log_open(2, LOG_ERROR); /* warnings are what these tests provoke */
    const struct CMUnitTest tests[] = {
        WORKER(the_current_edition_prices),
        WORKER(a_failing_rule_falls_back_and_says_so),
        WORKER(refuse_refuses),
        WORKER(without_a_last_good_edition_nothing_is_priced),
        WORKER(a_failing_last_good_edition_prices_nothing),
        WORKER(only_what_worked_becomes_last_good),
        WORKER(the_same_edition_again_changes_nothing),
        WORKER(an_impossible_cart_is_not_the_rules_fault),
        WORKER(three_kills_within_a_minute_rest_the_edition),
        WORKER(kills_far_apart_do_not_rest_it),
        WORKER(a_resting_edition_without_a_good_one_says_when),
        WORKER(another_tenant_notices_nothing),
        WORKER(tenants_without_an_edition_use_the_defaults),
        WORKER(too_many_vms_close_the_least_used),
        WORKER(a_spent_vm_is_replaced),
        WORKER(settings_are_noted_or_read_from_the_edition),
        cmocka_unit_test(a_share_is_spent_and_fills_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
