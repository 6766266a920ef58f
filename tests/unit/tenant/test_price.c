/* test_price.c: whole answers: what rules see, what they may return, and that the same input gives the same quote. */
#include "tenant/rig.h"

static const char CART[] =
    "{\"items\":[{\"productId\":\"p1\",\"sku\":\"A-1\",\"name\":\"Mouse\",\"price\":29.99,"
    "\"quantity\":2,"
    "\"category\":[\"Electronics\",\"Mice\"],\"attributes\":{\"color\":\"Black\",\"size\":9.5},"
    "\"weightGrams\":120},"
    "{\"productId\":\"p2\",\"sku\":\"B-2\",\"name\":\"Pad\",\"price\":5,\"quantity\":10}],"
    "\"codes\":[\"SPRING\"],\"customer\":{\"id\":\"c1\",\"group\":\"wholesale\",\"tags\":[\"vip\"],"
    "\"orders\":3},"
    "\"address\":{\"country\":\"US\",\"state\":\"IL\"},\"now\":\"2024-11-21T23:30:00Z\",\"seed\":"
    "7}";

/* Prices CART by one pricing rule whose body is given; the quote's first discount says what it found. */
static void open_body(rig_t *rig, const char *body, const char *settings) {
    char text[4000];
    snprintf(text, sizeof text, "return function(cart, ctx)\n%s\nend\n", body);
    rig_open(rig, rig_edition("acme", text, NULL, NULL, NULL), rig_settings(settings), CART);
}

static void expect_told(const char *body, const char *told) {
    rig_t rig;
    char whole[4000];
    snprintf(whole, sizeof whole,
        "local function tell(x) return { { line = 1, amount = -1, reason = tostring(x) } } end\n%s",
        body);
    open_body(&rig, whole,
        "\"timeZone\":\"Asia/Tokyo\",\"taxRate\":\"0.0825\",\"freeShippingThreshold\":\"50.00\"");
    if (rig_price(&rig)) fail_msg("%s: line %d: %s", body, rig.fault.line, rig.fault.text);
    span_t reason = rig.quote.discounts.items[0].reason;
    char got[300];
    snprintf(got, sizeof got, "%.*s", (int)reason.len, reason.ptr);
    assert_string_equal(got, told);
    rig_close(&rig);
}

static void rules_see_the_cart(void **state) {
    (void)state;
    expect_told(
        "return tell(cart.currency .. cart.count .. '/' .. cart.subtotal .. '/' .. #cart.items)",
        "USD12/10998/2");
    expect_told("local l = cart.items[1] return tell(l.price .. l.quantity .. l.subtotal .. "
                "l.weight_grams)",
        "299925998120");
    expect_told(
        "local l = cart.items[1] return tell(l.productId .. l.sku .. l.name)", "p1A-1Mouse");
    expect_told("return tell(table.concat(cart.items[1].category, '>'))", "Electronics>Mice");
    expect_told(
        "return tell(cart.items[1].attributes.color .. cart.items[1].attributes.size)", "Black9.5");
    expect_told(
        "return tell(#cart.items[2].category .. tostring(next(cart.items[2].attributes)))", "0nil");
    expect_told("return tell(cart.codes[1])", "SPRING");
    expect_told(
        "return tell(cart.items[1].nothing == nil and cart.nothing == nil and ctx.nothing == nil)",
        "true");
    expect_told(
        "return tell(cart.items[1].discounted == nil and cart.items[1].net == nil)", "true");
}

static void rules_see_the_context(void **state) {
    (void)state;
    expect_told("return tell(ctx.customer.group .. ctx.customer.id .. ctx.customer.tags[1] .. "
                "ctx.customer.orders)",
        "wholesalec1vip3");
    expect_told(
        "return tell(ctx.address.country .. ctx.address.state .. tostring(ctx.address.city))",
        "USILnil");
    expect_told("return tell(ctx.currency.code .. ctx.currency.digits)", "USD2");
    expect_told("return tell(ctx.channel .. ctx.seed)", "web7");
    expect_told("return tell(ctx.tenant.name .. ctx.tenant.settings.taxRate .. "
                "ctx.tenant.settings.freeShippingThreshold)",
        "Acme0.08255000");
    /* 23:30 in UTC is 8:30 of the next day, a Friday, in Tokyo. */
    expect_told("local n = ctx.now return tell(n.year .. '-' .. n.month .. '-' .. n.day .. ' ' .. "
                "n.hour .. ' ' .. n.weekday)",
        "2024-11-22 8 5");
    expect_told(
        "return tell(ctx.now.epoch .. ' ' .. ctx.now.iso)", "1732231800 2024-11-21T23:30:00.000Z");
}

static void a_guest_has_a_group(void **state) {
    (void)state;
    rig_t rig;
    rig_open(&rig,
        rig_edition("acme",
            "return function(cart, ctx) return { { line = 1, amount = -1, reason = "
            "ctx.customer.group .. ctx.customer.orders "
            ".. #ctx.customer.tags .. tostring(ctx.address) } } end",
            NULL, NULL, NULL),
        rig_settings(""), "{\"items\":[{\"sku\":\"A\",\"price\":1}]}");
    assert_int_equal(rig_price(&rig), 0);
    assert_true(span_eq(rig.quote.discounts.items[0].reason, SPAN("guest00nil")));
    rig_close(&rig);
}

/* What appears on first use cannot be told from what is there. */
static void pairs_next_and_rawget_see_every_field(void **state) {
    (void)state;
    static const char NAMES[] = "local names = {} for k in pairs(%s) do names[#names + 1] = k end "
                                "return tell(table.concat(names, ' '))";
    const char *tables[][2] = {
        {"cart.items[1]",
            "attributes category name price productId quantity sku subtotal weight_grams"},
        {"cart", "codes count currency items subtotal"},
        {"ctx", "address channel currency customer now seed tenant"}};
    for (size_t i = 0; i < 3; i++) {
        char body[300];
        snprintf(body, sizeof body, NAMES, tables[i][0]);
        expect_told(body, tables[i][1]);
    }
    expect_told("return tell(rawget(cart.items[1], 'name'))", "Mouse");
    expect_told("return tell(next(cart.items[1]))", "attributes");
    expect_told("return tell(getmetatable(cart.items[1]))", "false");
    expect_told("return tell(pcall(setmetatable, cart.items[1], {}))", "false");
}

static void stages_see_what_came_before(void **state) {
    (void)state;
    rig_t rig;
    rig_open(&rig,
        rig_edition("acme",
            "return function(cart) for k in pairs(cart.items[1]) do end return { { line = 1, "
            "percent = 50, reason = 'half' } } end",
            "return function(cart) return { { id = 's', name = cart.discounted .. ' ' .. "
            "cart.items[1].discounted .. ' ' .. "
            "cart.items[2].discounted, amount = 700 } } end",
            "return function(cart) return { { line = 1, percent = 10, name = cart.shipping .. ' ' "
            ".. cart.items[1].net .. ' ' .. "
            "cart.items[2].net } } end",
            "return function(cart) return { { code = 'c', message = cart.total .. ' ' .. cart.tax "
            ".. ' ' .. cart.discount } } end"),
        rig_settings(""), CART);
    if (rig_price(&rig)) fail_msg("%s:%d: %s", rig.fault.file, rig.fault.line, rig.fault.text);
    assert_true(span_eq(rig.quote.options.items[0].name, SPAN("7999 2999 5000")));
    assert_true(span_eq(rig.quote.taxes.items[0].name, SPAN("700 2999 5000")));
    assert_true(span_eq(rig.quote.violations.items[0].message, SPAN("8999 300 2999")));
    assert_int_equal(rig.quote.total, 8999);
    rig_close(&rig);
}

/* A rule that sorts or spoils the cart does so for itself: the engine's lines stay where and what they are. */
static void what_a_rule_writes_stays_in_lua(void **state) {
    (void)state;
    rig_t rig;
    rig_open(&rig,
        rig_edition("acme",
            "return function(cart) table.sort(cart.items, function(a, b) return a.price < b.price "
            "end)\n"
            "for _, line in ipairs(cart.items) do line.price = 0 line.subtotal = 0 line.quantity = "
            "99 end\n"
            "cart.items[5] = 'x' cart.subtotal = -1 end",
            NULL,
            "return function(cart) local out = {}\n"
            "for i, line in ipairs(cart.items) do out[i] = { line = i, percent = i * 10, name = "
            "line.sku } end return out end",
            NULL),
        rig_settings(""), CART);
    if (rig_price(&rig)) fail_msg("%s:%d: %s", rig.fault.file, rig.fault.line, rig.fault.text);
    assert_int_equal(rig.quote.subtotal, 10998);
    assert_true(span_eq(rig.quote.taxes.items[0].name, SPAN("A-1")));
    assert_int_equal(rig.quote.taxes.items[0].amount, 600);
    assert_int_equal(rig.quote.taxes.items[1].amount, 1000);
    rig_close(&rig);
}

static void nothing_is_kept_between_two_calls(void **state) {
    (void)state;
    rig_t rig;
    open_body(&rig,
        "local seen = cart.seen cart.seen = true ctx.seen = (ctx.seen or 0) + 1\n"
        "return { { line = 1, amount = -1, reason = tostring(seen) .. ctx.seen .. "
        "math.random(1000000) } }",
        "");
    char first[64];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_price(&rig), 0);
        span_t reason = rig.quote.discounts.items[0].reason;
        if (i == 0) snprintf(first, sizeof first, "%.*s", (int)reason.len, reason.ptr);
        assert_true(span_eq(reason, span_of(first)));
    }
    rig_close(&rig);
}

static void an_empty_cart_costs_nothing(void **state) {
    (void)state;
    rig_t rig;
    rig_open(&rig, rig_edition("acme", "error('never runs')", NULL, NULL, NULL), rig_settings(""),
        "{\"items\":[]}");
    assert_int_equal(rig_price(&rig), 0);
    assert_true(rig.quote.priced);
    assert_int_equal(rig.quote.total, 0);
    rig_close(&rig);
}

static void nil_is_an_empty_list(void **state) {
    (void)state;
    rig_t rig;
    open_body(&rig, "", "");
    assert_int_equal(rig_price(&rig), 0);
    assert_int_equal(rig.quote.total, 10998);
    rig_close(&rig);
}

static void rates_are_texts_or_shortest_numbers(void **state) {
    (void)state;
    const char *rates[] = {
        "percent = 8.25", "percent = '8.25'", "rate = 0.0825", "rate = '0.0825'"};
    for (size_t i = 0; i < 4; i++) {
        char text[200];
        rig_t rig;
        snprintf(text, sizeof text,
            "return function() return { { line = 1, %s, name = 'IL' } } end", rates[i]);
        rig_open(&rig, rig_edition("acme", NULL, NULL, text, NULL), rig_settings(""), CART);
        if (rig_price(&rig)) fail_msg("%s: %s", rates[i], rig.fault.text);
        assert_int_equal(rig.quote.tax, 495); /* 59.98 x 8.25 % = 4.94835 */
        assert_true(span_eq(rig.quote.taxes.items[0].rate, SPAN("0.0825")));
        rig_close(&rig);
    }
}

/* Text and number mean the same rate, whatever its length: compared on an amount large enough to show every digit. */
static void numbers_mean_their_shortest_text(void **state) {
    (void)state;
    const char *rates[] = {"0.1", "0.07", "8.25", "7.125", "0.0001", "33.3333", "0.00001",
        "12.3456789", "0.000000001", "999.9", "0"};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        char text[300];
        rig_t rig;
        snprintf(text, sizeof text,
            "return function() return { { line = 1, percent = %s, name = 'number' }, { line = 1, "
            "percent = '%s', name = 'text' } } end",
            rates[i], rates[i]);
        rig_open(&rig, rig_edition("acme", NULL, NULL, text, NULL), rig_settings(""),
            "{\"items\":[{\"sku\":\"A\",\"price\":9000000000}]}");
        if (rig_price(&rig)) fail_msg("%s: %s", rates[i], rig.fault.text);
        assert_int_equal(rig.quote.taxes.count, 2);
        assert_int_equal(rig.quote.taxes.items[0].amount, rig.quote.taxes.items[1].amount);
        assert_true(span_eq(rig.quote.taxes.items[0].rate, rig.quote.taxes.items[1].rate));
        rig_close(&rig);
    }
}

typedef struct refusal {
    rule_kind_t kind;
    const char *result; /* what the rule returns */
    const char *says;   /* part of the sentence */
} refusal_t;

static const refusal_t REFUSALS[] = {
    {RULE_PRICING, "5", "must return a list, not 5"},
    {RULE_PRICING, "'x'", "must return a list, not \"x\""},
    {RULE_PRICING, "{ line = 1, percent = 10, reason = 'r' }", "must be a list"},
    {RULE_PRICING, "{ 1 }", "adjustment 1: must be a table, not 1"},
    {RULE_PRICING, "{ nil, { line = 1, amount = 1, reason = 'r' } }", "list"},
    {RULE_PRICING, "{ { line = 1, percnt = 10, reason = 'r' } }",
        "adjustment 1: unknown field \"percnt\"; known are line"},
    {RULE_PRICING,
        "{ { line = 1, amount = -1, reason = 'r' }, { line = 3, amount = -1, reason = 'r' } }",
        "adjustment 2: line must be the number of a line, 1 to 2, not 3"},
    {RULE_PRICING, "{ { line = 0, amount = 1, reason = 'r' } }", "line must be"},
    {RULE_PRICING, "{ { line = 1.5, amount = 1, reason = 'r' } }", "not 1.5"},
    {RULE_PRICING, "{ { line = '1', amount = 1, reason = 'r' } }", "not \"1\""},
    {RULE_PRICING, "{ { amount = 1, reason = 'r' } }", "needs either line=i or order=true"},
    {RULE_PRICING, "{ { line = 1, order = true, amount = 1, reason = 'r' } }", "needs either"},
    {RULE_PRICING, "{ { line = 1, reason = 'r' } }", "needs one of percent, amount, unit_price"},
    {RULE_PRICING, "{ { line = 1, percent = 1, amount = 1, reason = 'r' } }", "needs one of"},
    {RULE_PRICING, "{ { order = true, unit_price = 1, reason = 'r' } }", "unit_price needs line=i"},
    {RULE_PRICING, "{ { line = 1, amount = 1 } }", "needs a reason"},
    {RULE_PRICING, "{ { line = 1, amount = 1.5, reason = 'r' } }",
        "amount must be a whole number of minor units, not 1.5"},
    {RULE_PRICING, "{ { line = 1, amount = '100', reason = 'r' } }", "whole number"},
    {RULE_PRICING, "{ { line = 1, amount = 0/0, reason = 'r' } }", "whole number"},
    {RULE_PRICING, "{ { line = 1, amount = math.huge, reason = 'r' } }", "whole number"},
    {RULE_PRICING, "{ { line = 1, amount = 1e15, reason = 'r' } }", "whole number"},
    {RULE_PRICING, "{ { line = 1, percent = 0/0, reason = 'r' } }", "percent must be a decimal"},
    {RULE_PRICING, "{ { line = 1, percent = 'ten', reason = 'r' } }", "percent must be a decimal"},
    {RULE_PRICING, "{ { line = 1, percent = 1001, reason = 'r' } }", "within -1000 and 1000"},
    {RULE_PRICING, "{ { line = 1, unit_price = -1, reason = 'r' } }", "must not be negative"},
    {RULE_PRICING, "{ { line = 1, amount = 1, reason = ('x'):rep(201) } }",
        "reason must have 1 to 200 bytes, not 201"},
    {RULE_PRICING, "{ { line = 1, amount = 1, reason = '' } }", "reason must have 1 to 200 bytes"},
    {RULE_PRICING, "{ { line = 1, amount = 1, reason = '\\255' } }", "not UTF-8"},
    {RULE_PRICING, "{ { line = 1, amount = 1, reason = 'a\\0b' } }", "not UTF-8"},
    {RULE_PRICING, "{ { line = 1, amount = 1, reason = {} } }", "reason must be text, not a table"},
    {RULE_PRICING, "{ { line = 1, amount = 1, reason = 'r', stop = 1 } }",
        "stop must be true or false"},
    {RULE_PRICING,
        "setmetatable({}, { __index = function() return { line = 1, amount = -1, reason = 'r' } "
        "end }), 1",
        NULL},
    {RULE_SHIPPING, "{ { id = 's', name = 'S' } }", "option 1: needs id, name and amount"},
    {RULE_SHIPPING, "{ { id = 's', name = 'S', amount = -1 } }", "amount must not be negative"},
    {RULE_SHIPPING, "{ { id = 's', name = 'S', amount = 1, days = 1.5 } }", "whole number of days"},
    {RULE_SHIPPING,
        "{ { id = 's', name = 'S', amount = 1 }, { id = 's', name = 'T', amount = 2 } }",
        "taken by option 1"},
    {RULE_TAX, "{ { line = 1, name = 'T' } }", "tax 1: needs either rate or percent"},
    {RULE_TAX, "{ { line = 1, rate = 0.1, percent = 10, name = 'T' } }",
        "needs either rate or percent"},
    {RULE_TAX, "{ { line = 1, rate = '-0.1', name = 'T' } }", "within 0 and 1000 percent"},
    {RULE_TAX, "{ { line = 1, rate = 11, name = 'T' } }", "within 0 and 1000 percent"},
    {RULE_TAX, "{ { rate = 0.1, name = 'T' } }", "needs either line=i or shipping=true"},
    {RULE_TAX, "{ { line = 1, rate = 0.1 } }", "needs a name"},
    {RULE_CHECKOUT, "{ { code = 'c' } }", "violation 1: needs code and message"},
    {RULE_CHECKOUT, "{ { code = 'c', message = 'm', line = 9 } }", "1 to 2, not 9"},
};

static void bad_results_are_refused_with_their_place(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(REFUSALS) / sizeof(*REFUSALS); i++) {
        const refusal_t *refusal = &REFUSALS[i];
        const char *texts[4] = {NULL, NULL, NULL, NULL};
        char text[400];
        rig_t rig;
        snprintf(text, sizeof text, "-- a rule\nreturn function(cart, ctx)\n  return %s\nend\n",
            refusal->result);
        texts[refusal->kind] = text;
        rig_open(&rig, rig_edition("acme", texts[0], texts[1], texts[2], texts[3]),
            rig_settings(""), CART);
        int err = rig_price(&rig);
        if (refusal->says) {
            if (err != ERR_BAD_RESULT || !strstr(rig.fault.text, refusal->says))
                fail_msg("%s: %s: %s", refusal->result, err_name(err), rig.fault.text);
            assert_string_equal(rig.fault.file, rule_kind_file(refusal->kind));
            assert_int_equal(rig.fault.line, 2);
            assert_false(rig.quote.priced);
        } else {
            assert_int_equal(err, 0); /* the metatable is not asked: an empty list */
            assert_int_equal(rig.quote.total, 10998);
        }
        rig_close(&rig);
    }
}

static void sums_beyond_the_limit_name_the_rule(void **state) {
    (void)state;
    rig_t rig;
    open_body(&rig, "return { { line = 1, unit_price = 1e14, reason = 'r' } }", "");
    assert_int_equal(rig_price(&rig), ERR_RANGE);
    assert_string_equal(rig.fault.file, "pricing.lua");
    rig_close(&rig);
}

static void errors_have_file_line_and_name(void **state) {
    (void)state;
    const struct {
        const char *body;
        int err, line;
    } cases[] = {{"local x = nil\nreturn x.y", ERR_RULE_ERROR, 3},
        {"error('no')", ERR_RULE_ERROR, 2}, {"return os.time()", ERR_FORBIDDEN, 2},
        {"while true do end", ERR_BUDGET_INSTRUCTIONS, 2}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        rig_t rig;
        sandbox_limits_t limits;
        open_body(&rig, cases[i].body, "");
        rules_close(rig.rules);
        sandbox_limits_default(&limits);
        limits.time_ms = 60000; /* so that instructions end it on any machine */
        limits.instructions = 100000;
        assert_int_equal(
            rules_open(rig.edition, NULL, &limits, NULL, NULL, &rig.rules, &rig.fault), 0);
        assert_int_equal(rig_price(&rig), cases[i].err);
        assert_string_equal(rig.fault.file, "pricing.lua");
        assert_int_equal(rig.fault.line, cases[i].line);
        rig_close(&rig);
    }
}

static void a_broken_file_does_not_open(void **state) {
    (void)state;
    sandbox_limits_t limits;
    sandbox_fault_t fault;
    rules_t *rules;
    sandbox_limits_default(&limits);
    edition_t *edition =
        rig_edition("acme", NULL, "return function(cart)\n  return {\nend", NULL, NULL);
    assert_int_equal(rules_open(edition, NULL, &limits, NULL, NULL, &rules, &fault), ERR_SYNTAX);
    assert_string_equal(fault.file, "shipping.lua");
    assert_int_equal(fault.line, 3);
    edition_unref(edition);
}

/* Half a save: the editor has emptied the file and not yet written it. */
static void a_merchants_empty_file_is_no_rule(void **state) {
    (void)state;
    const char *texts[] = {"", "-- nothing\n", "--[==[ nothing ]] ]==] \n"};
    for (size_t i = 0; i < 3; i++) {
        rig_t rig;
        rig_open(&rig, rig_edition("acme", NULL, NULL, texts[i], NULL), rig_settings(""), CART);
        assert_int_equal(rig_price(&rig), ERR_BAD_RESULT);
        rig_close(&rig);
        edition_t *edition = rig_edition("acme", NULL, NULL, texts[i], NULL);
        edition->own[RULE_TAX] = false;
        rig_open(&rig, edition, rig_settings(""), CART);
        assert_int_equal(rig_price(&rig), 0);
        rig_close(&rig);
    }
}

static void currencies_have_their_digits(void **state) {
    (void)state;
    const struct {
        const char *settings, *cart;
        int64_t total;
    } cases[] = {
        {"\"currency\":\"JPY\"", "{\"items\":[{\"sku\":\"A\",\"price\":3000,\"quantity\":3}]}",
            9900},
        {"\"currency\":\"KWD\"", "{\"items\":[{\"sku\":\"A\",\"price\":1.234,\"quantity\":3}]}",
            4072},
        {"\"currency\":\"USD\"", "{\"items\":[{\"sku\":\"A\",\"price\":\"0.05\",\"quantity\":1}]}",
            6},
        {"\"currency\":\"USD\",\"rounding\":\"half-even\"",
            "{\"items\":[{\"sku\":\"A\",\"price\":\"0.05\",\"quantity\":1}]}", 5},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        rig_t rig;
        rig_open(&rig,
            rig_edition("acme", NULL, NULL,
                "return function() return { { line = 1, percent = 10, name = 'T' } } end", NULL),
            rig_settings(cases[i].settings), cases[i].cart);
        assert_int_equal(rig_price(&rig), 0);
        assert_int_equal(rig.quote.total, cases[i].total);
        rig_close(&rig);
    }
}

static void the_quote_is_written_with_decimals(void **state) {
    (void)state;
    rig_t rig;
    buf_t json;
    buf_create(&json);
    open_body(&rig, "return { { line = 1, percent = 10, reason = 'ten' } }", "");
    assert_int_equal(rig_price(&rig), 0);
    quote_json(&rig.quote, rig.settings, true, &json);
    buf_char(&json, 0);
    assert_non_null(strstr(json.ptr, "\"subtotal\":109.98"));
    assert_non_null(strstr(json.ptr,
        "\"explain\":[{\"rule\":\"pricing\",\"line\":1,\"amount\":-6.00,\"reason\":\"ten\"}]"));
    buf_destroy(&json);
    rig_close(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_see_the_cart),
        cmocka_unit_test(rules_see_the_context),
        cmocka_unit_test(a_guest_has_a_group),
        cmocka_unit_test(pairs_next_and_rawget_see_every_field),
        cmocka_unit_test(stages_see_what_came_before),
        cmocka_unit_test(what_a_rule_writes_stays_in_lua),
        cmocka_unit_test(nothing_is_kept_between_two_calls),
        cmocka_unit_test(an_empty_cart_costs_nothing),
        cmocka_unit_test(nil_is_an_empty_list),
        cmocka_unit_test(rates_are_texts_or_shortest_numbers),
        cmocka_unit_test(numbers_mean_their_shortest_text),
        cmocka_unit_test(bad_results_are_refused_with_their_place),
        cmocka_unit_test(sums_beyond_the_limit_name_the_rule),
        cmocka_unit_test(errors_have_file_line_and_name),
        cmocka_unit_test(a_broken_file_does_not_open),
        cmocka_unit_test(a_merchants_empty_file_is_no_rule),
        cmocka_unit_test(currencies_have_their_digits),
        cmocka_unit_test(the_quote_is_written_with_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
