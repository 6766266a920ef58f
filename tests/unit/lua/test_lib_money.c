/* test_lib_money.c: percentages and texts for tenants; parsing, decimals and texts for trusted scripts: all exact. */
#include "lua/tenant.h"
#include <lauxlib.h>
#include <lualib.h>
#include "lua/decimal.h"
#include "lua/lib_money.h"

static void percentages_are_exact(void **state) {
    (void)state;
    expect_answer("money.percent(1999, '8.25')", "165");
    expect_answer("money.percent(1999, 8.25)", "165");
    expect_answer("money.percent(50, '1')", "1"); /* 0.5 rounds up */
    expect_answer("money.percent(-50, '1')", "-1");
    expect_answer("money.percent(100000000000000, '100')", "1e+14");
    expect_answer("money.percent(0, '19')", "0");
    expect_fault("money.percent(1.5, '8')", ERR_RULE_ERROR, "whole amount of minor units");
    expect_fault("money.percent(0/0, '8')", ERR_RULE_ERROR, "whole amount of minor units");
    expect_fault("money.percent(1, 'eight')", ERR_RULE_ERROR, "a percentage like");
    expect_fault("money.percent(1, 0/0)", ERR_RULE_ERROR, "a percentage like");
    expect_fault("money.percent(1, {})", ERR_RULE_ERROR, "string expected");
}

static void texts_have_all_digits(void **state) {
    (void)state;
    expect_answer("money.format(2999, {code = 'USD', digits = 2})", "USD 29.99");
    expect_answer("money.format(-5, {code = 'USD', digits = 2})", "USD -0.05");
    expect_answer("money.format(3000, {code = 'JPY', digits = 0})", "JPY 3000");
    expect_answer("money.format(1, 3)", "0.001");
    expect_answer("money.format(0, 2)", "0.00");
    expect_fault("money.format(1, {})", ERR_RULE_ERROR, "");
    expect_fault("money.format(1, 9)", ERR_RULE_ERROR, "0 to 4 digits");
}

static void expect_trusted(lua_State *L, const char *expression, const char *answer) {
    char text[256];
    snprintf(text, sizeof text, "return tostring((%s))", expression);
    if (luaL_dostring(L, text)) fail_msg("%s: %s", expression, lua_tostring(L, -1));
    assert_string_equal(lua_tostring(L, -1), answer);
    lua_settop(L, 0);
}

static void trusted_scripts_parse_and_print(void **state) {
    (void)state;
    vm_t vm;
    assert_int_equal(vm_create(&vm, NULL, 0), 0);
    lua_State *L = vm.L;
    luaL_openlibs(L);
    luaopen_decimal(L);
    lua_setglobal(L, "decimal");
    luaopen_money(L);
    lua_setglobal(L, "money");
    expect_trusted(L, "money.digits('USD')", "2");
    expect_trusted(L, "money.digits('JPY')", "0");
    expect_trusted(L, "money.digits('XXQ')", "nil");
    expect_trusted(L, "money.parse('29.99', 2)", "2999");
    expect_trusted(L, "money.parse(29.99, 2)", "2999");
    expect_trusted(L, "money.parse(5, 2)", "500");
    expect_trusted(L, "money.parse(decimal.new('29.99'), 2)", "2999");
    expect_trusted(L, "select(3, money.parse('29.999', 2))", "precision");
    expect_trusted(L, "select(3, money.parse('x', 2))", "invalid");
    expect_trusted(L, "select(3, money.parse({}, 2))", "invalid");
    expect_trusted(L, "money.decimal(2999, 2)", "29.99");
    expect_trusted(L, "decimal.is(money.decimal(-5, 2))", "true");
    expect_trusted(L, "money.format(-5, 2)", "-0.05");
    expect_trusted(L, "money.format(100000000000000, 4)", "10000000000.0000");
    vm_destroy(&vm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentages_are_exact),
        cmocka_unit_test(texts_have_all_digits),
        cmocka_unit_test(trusted_scripts_parse_and_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
