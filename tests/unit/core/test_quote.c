/* test_quote.c: the module `rules` as a handler uses it: carts in, quotes out, wrong carts named. */
#include "tenant/rig.h"
#include "app.h"
#include "quote.h"
#include "services.h"

typedef struct fixture {
    services_t services;
    app_t app;
} fixture_t;

static bool no_module(void *data, const char *module, vm_source_t *out) {
    (void)data;
    (void)module;
    (void)out;
    return false;
}

static void swap(fixture_t *fixture, const char *slug, const char *pricing, const char *document) {
    edition_t *edition = rig_edition(slug, pricing,
        "return function() return { { id = 'std', name = 'Standard', amount = 500 } } end",
        "return function(cart, ctx) return { { line = 1, rate = ctx.tenant.settings.taxRate, name "
        "= 'Tax' } } end",
        NULL);
    edition->document = span_of(document);
    assert_int_equal(tenants_swap(fixture->services.tenants, edition), 0);
    edition_unref(edition);
}

static int open_app(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    tenants_options_t options;
    fixture->services.loop = loop_new();
    tenants_options_default(&options, fixture->services.loop);
    options.share_percent = 0;
    options.limits.time_ms = 60000;
    fixture->services.tenants = tenants_new(&options);
    fixture->app.services = &fixture->services;
    fixture->app.vm = vm_new_trusted(fixture->services.loop, no_module, NULL);
    fixture->app.vm->user = &fixture->app;
    swap(fixture, "acme",
        "return function(cart, ctx) local l = cart.items[1]\n"
        "if cart.codes[1] == 'BOOM' then error('boom') end\n"
        "return { { line = 1, percent = 10, reason = l.category[1] .. l.attributes.color .. "
        "l.attributes.size, code = cart.codes[1] } } end",
        "{\"id\":\"01936b5c-0000-7000-8000-000000000001\",\"slug\":\"acme\",\"settings\":{"
        "\"currency\":\"USD\",\"taxRate\":0.09}}");
    *state = fixture;
    return 0;
}

static int close_app(void **state) {
    fixture_t *fixture = *state;
    vm_delete_trusted(fixture->app.vm);
    tenants_delete(fixture->services.tenants);
    loop_delete(fixture->services.loop);
    free(fixture);
    return 0;
}

static int run_protected(lua_State *L) {
    const char *text = lua_touserdata(L, 1);
    luaopen_rules(L);
    lua_setglobal(L, "rules");
    if (luaL_loadstring(L, text)) return lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

static void run(void **state, const char *text) {
    fixture_t *fixture = *state;
    static char whole[4000];
    char error[600] = "";
    snprintf(whole, sizeof whole,
        "local function cart() return { items = { { productId = 'p1', sku = 'A', name = 'Mouse', "
        "price = 2999, quantity = 2,\n"
        "category = { 'Mice' }, attributes = { color = 'Black', size = 9 }, weightGrams = 100 } }, "
        "codes = { 'TEN' },\n"
        "address = { country = 'US' }, customer = { group = 'guest' }, channel = 'web' } end\n"
        "local function is(got, wanted) if got ~= wanted then error('got ' .. tostring(got) .. ', "
        "wanted ' .. tostring(wanted), 2) end end\n"
        "%s",
        text);
    if (vm_protect(fixture->app.vm, run_protected, whole, error, sizeof error))
        fail_msg("%s", error);
}

static void a_cart_becomes_a_quote(void **state) {
    run(state,
        "local q = assert(rules.price('acme', cart()))\n"
        "is(q.priced, true) is(q.subtotal, 5998) is(q.discount, 600) is(q.shipping, 500) is(q.tax, "
        "486) is(q.total, 6384)\n"
        "is(#q.discounts, 1) is(q.discounts[1].amount, 600) is(q.discounts[1].reason, "
        "'MiceBlack9') is(q.discounts[1].code, 'TEN')\n"
        "is(q.shippingOption, 'std') is(q.shippingOptions[1].name, 'Standard') "
        "is(q.taxLines[1].rate, '0.09')\n"
        "is(q.taxLines[1].inclusive, false) is(#q.violations, 0) is(#q.ruleEdition, 8)\n"
        "is(q.explain[1].rule, 'pricing') is(q.explain[1].line, 1) is(q.explain[1].amount, -600)\n"
        "is(q.explain[2].shipping, true) is(q.explain[3].rule, 'tax')");
}

static void a_tenant_may_be_a_document_or_a_request(void **state) {
    run(state, "is(rules.price({ slug = 'acme' }, cart()).total, 6384)\n"
               "is(rules.price({ tenant = { slug = 'acme' } }, cart()).total, 6384)\n"
               "is(rules.price(setmetatable({}, { __index = function(_, k) return k == 'tenant' "
               "and { slug = 'acme' } end }), cart()).total, 6384)");
}

static void explain_can_be_left_out(void **state) {
    run(state, "local c = cart() c.explain = false is(rules.price('acme', c).explain, nil)");
}

static void a_failing_rule_is_told_and_not_raised(void **state) {
    run(state,
        "local c = cart() c.codes = { 'BOOM' }\n"
        "local q = assert(rules.price('acme', c)) is(q.priced, false) is(q.total, nil)\n"
        "is(q.error, 'unavailable') is(q.reason, 'the shop\\'s rules could not price this cart "
        "(rule_error)')");
}

static void wrong_carts_are_named(void **state) {
    run(state,
        "local function refused(change, wanted)\n"
        "  local c = cart() change(c) local q, text, name = rules.price('acme', c)\n"
        "  is(q, nil) is(name, 'invalid') assert(text:find(wanted, 1, true), text)\n"
        "end\n"
        "refused(function(c) c.items = nil end, 'items must be a list')\n"
        "refused(function(c) c.items[1] = 5 end, 'items 1: must be a table')\n"
        "refused(function(c) c.items[1].price = 29.99 end, 'items 1: price must be a whole "
        "number')\n"
        "refused(function(c) c.items[1].price = -1 end, 'items 1: price')\n"
        "refused(function(c) c.items[1].price = nil end, 'items 1: price')\n"
        "refused(function(c) c.items[1].quantity = 0/0 end, 'items 1: quantity')\n"
        "refused(function(c) c.items[1].quantity = '2' end, 'items 1: quantity')\n"
        "refused(function(c) c.codes = { 5 } end, 'codes must be texts')\n"
        "refused(function(c) c.address = { f = print } end, 'address: ')\n"
        "local q, text, name = rules.price('nobody', cart()) is(q, nil) is(name, 'not_found')\n"
        "is(pcall(rules.price, 'acme'), false)");
}

/* What a rule does not read is not fetched, and what cannot be shown is nothing. */
static void odd_parts_do_not_stop_a_price(void **state) {
    fixture_t *fixture = *state;
    swap(fixture, "tokyo",
        "return function(cart) return { { line = 1, amount = -1, reason = #cart.items[1].category "
        ".. tostring(next(cart.items[1].attributes)) } } end",
        "{\"slug\":\"tokyo\",\"settings\":{\"currency\":\"JPY\"}}");
    run(state, "local c = cart() c.items[1].category = nil c.items[1].attributes = { f = print }\n"
               "local q = rules.price('tokyo', c) is(q.discounts[1].reason, '0nil')");
}

static void seeds_are_the_editions_documents(void **state) {
    run(state, "local seeds = rules.seeds() is(#seeds, 1) is(seeds[1].slug, 'acme') "
               "is(tostring(seeds[1].settings.taxRate), '0.09')");
}

#define APP(test) cmocka_unit_test_setup_teardown(test, open_app, close_app)

int main(void) {
    const struct CMUnitTest tests[] = {
        APP(a_cart_becomes_a_quote),
        APP(a_tenant_may_be_a_document_or_a_request),
        APP(explain_can_be_left_out),
        APP(a_failing_rule_is_told_and_not_raised),
        APP(wrong_carts_are_named),
        APP(odd_parts_do_not_stop_a_price),
        APP(seeds_are_the_editions_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
