/* test_lib_string.c: the tenants' text functions: results as in Lua, bounds that hold, no addresses. */
#include "lua/tenant.h"
#include <lauxlib.h>
#include <lualib.h>

/* Expressions whose value must be that of a stock LuaJIT. */
static const char *const same[] = {"('abc'):byte()", "table.concat({('abc'):byte(1, -1)}, ',')",
    "#{('abc'):byte(10)}", "table.concat({('abc'):byte(-2, 2)}, ',')", "string.char(72, 105, 0x21)",
    "string.char()", "('Hello'):upper() .. ('Hello'):lower()", "('\xc3\xa4'):upper()",
    "('abc'):reverse()", "#('a\\0b')", "('ab'):rep(3)", "('ab'):rep(3, '-')", "('ab'):rep(0)",
    "('ab'):rep(-5)", "(''):rep(1e9)", "('x'):rep(1, 'sep')", "('hello'):sub(2)",
    "('hello'):sub(2, 3)", "('hello'):sub(-3, -2)", "('hello'):sub(0)", "('hello'):sub(-100, 100)",
    "('hello'):sub(4, 2)", "string.rep(5, 3)", "string.len(12.5)",
    "string.format('%d %i %u', 3, -4, 5)", "string.format('%5d|%-5d|%05d|%+d', 42, 42, 42, 42)",
    "string.format('%x %X %#x %o', 255, 255, 255, 8)", "string.format('%c%c', 72, 105)",
    "string.format('%5.1f|%e|%g|%G', 3.14159, 12345.678, 0.0001, 1e20)",
    "string.format('%s %s %s %s', nil, true, 1.5, 'x')",
    "string.format('%10s|%-10s|%.2s', 'ab', 'ab', 'abcdef')", "string.format('%10.3s|', 'abcdef')",
    "string.format('%q', 'a\"b\\\\c\\nd')", "string.format('%%')", "string.format('%.3d', 5)",
    "string.format('%.14g', 0.1)", "string.format('%.20f', 0.1)", "string.format('%d', 3.99)",
    "string.format('%d', -3.99)", "string.format('%x', -1)", "string.format('%5s%%', 'x')",
    "#string.format('%99.99f', 1e308)", "string.format('%a', 1)", "string.format('%d', '10')",
    "string.format('%s', setmetatable({}, {__tostring = function() return 'me' end}))",
    "tostring(1e15)", "tostring(123456789012345)", "tostring(0.1)", "tostring(-0.0)",
    "tostring(1/0)", "tostring(2^53)", "tonumber('0x1F')", "tonumber('  12  ')",
    "tostring(tonumber('1e'))", "tonumber('ff', 16)", "tonumber('zz', 36)",
    "tostring(tonumber('9', 8))", "tonumber('-101', 2)", "tostring(tonumber(''))",
    "tostring(tonumber('', 10))", "tonumber('0x10', 16)", "tonumber('1e1')",
    "tostring(tonumber({}))", "select('#', nil, nil)", "select(2, 'a', 'b', 'c')",
    "select(-1, 'a', 'b')", "table.concat({select(2, 1, 2, 3)}, ',')"};

static void read_stock(const char *expression, char *out, size_t size) {
    char text[1024];
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    snprintf(text, sizeof text, "return tostring((%s))", expression);
    if (luaL_dostring(L, text)) fail_msg("%s: %s", expression, lua_tostring(L, -1));
    snprintf(out, size, "%s", lua_tostring(L, -1));
    lua_close(L);
}

static void agree_with_the_engine(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char expected[1024], expression[1024];
        read_stock(same[i], expected, sizeof expected);
        snprintf(expression, sizeof expression, "tostring((%s))", same[i]);
        expect_answer(expression, expected);
    }
}

static void texts_end_at_256_kb(void **state) {
    (void)state;
    expect_answer("#('x'):rep(262144)", "262144");
    expect_fault("('x'):rep(262145)", ERR_BUDGET_MEMORY, "longer than 256 KB");
    expect_fault("('xy'):rep(2^31 - 1, 'z')", ERR_BUDGET_MEMORY, "longer than 256 KB");
    expect_fault("string.format('%s%s', ('x'):rep(200000), ('x'):rep(200000))", ERR_BUDGET_MEMORY,
        "longer than 256 KB");
    expect_fault("('a'):rep(1000):gsub('a', ('b'):rep(1000))", ERR_BUDGET_MEMORY, "longer");
    expect_fault("('x'):rep(200000) .. ('y'):rep(200000)", ERR_BUDGET_MEMORY, "too much memory");
    /* One that is caught is no more than an error. */
    expect_answer("tostring(pcall(string.rep, 'x', 1e9))", "false");
}

static void no_address_is_shown(void **state) {
    (void)state;
    expect_answer(
        "tostring({}) .. tostring(type) .. ('%s'):format(pairs)", "tablefunctionfunction");
    expect_fault("('%p'):format({})", ERR_RULE_ERROR, "invalid option '%p' to 'format'");
}

static void bad_formats_are_named(void **state) {
    (void)state;
    expect_fault("('%d'):format('x')", ERR_RULE_ERROR, "number expected");
    expect_fault("('%d'):format(0/0)", ERR_RULE_ERROR, "no integer representation");
    expect_fault("('%d'):format(1e300)", ERR_RULE_ERROR, "no integer representation");
    expect_fault("('%d'):format()", ERR_RULE_ERROR, "no value");
    expect_fault("('%123d'):format(1)", ERR_RULE_ERROR, "too long");
    expect_fault(
        "('%-----d'):format(1) .. ('%------d'):format(1)", ERR_RULE_ERROR, "repeated flags");
    expect_fault("('%n'):format(1)", ERR_RULE_ERROR, "invalid option");
    expect_fault("('%'):format(1)", ERR_RULE_ERROR, "invalid format");
    expect_fault("('%\\0'):format(1)", ERR_RULE_ERROR, "invalid option");
}

static void large_answers_are_bounded(void **state) {
    (void)state;
    expect_answer("select('#', ('x'):rep(4096):byte(1, -1))", "4096");
    expect_fault("('x'):rep(4097):byte(1, -1)", ERR_RULE_ERROR, "string slice too long");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree_with_the_engine),
        cmocka_unit_test(texts_end_at_256_kb),
        cmocka_unit_test(no_address_is_shown),
        cmocka_unit_test(bad_formats_are_named),
        cmocka_unit_test(large_answers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
