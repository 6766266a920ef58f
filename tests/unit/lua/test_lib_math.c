/* test_lib_math.c: the tenants' math and bit functions give what LuaJIT's give; random follows its seed. */
#include "lua/tenant.h"
#include <lauxlib.h>
#include <lualib.h>

static const char *const same[] = {"math.abs(-3.5)", "math.ceil(1.2)", "math.floor(-1.2)",
    "math.max(1, 5, 3)", "math.min(4, -2, 9)", "math.sqrt(2)", "math.pow(2, 0.5)",
    "math.fmod(-7, 3)", "math.log(10)", "math.log(8, 2)", "math.log10(1000)", "math.exp(1)",
    "math.pi", "math.huge", "select(2, math.modf(3.75))", "math.modf(-3.75)",
    "select(2, math.frexp(10))", "math.ldexp(0.5, 10)", "math.deg(math.pi)", "math.rad(90)",
    "math.atan2(1, -1)", "math.sin(1) + math.cos(1) + math.tan(1)",
    "math.sinh(1) + math.cosh(1) + math.tanh(1)", "math.asin(1) + math.acos(0) + math.atan(1)",
    "bit.band(0xff, 0x0f, 0x3)", "bit.bor(1, 2, 4)", "bit.bxor(0xffff, 0xff)", "bit.bnot(0)",
    "bit.lshift(1, 31)", "bit.rshift(-1, 1)", "bit.arshift(-8, 1)", "bit.arshift(-8, 0)",
    "bit.rol(0x12345678, 12)", "bit.ror(0x12345678, 12)", "bit.bswap(0x12345678)", "bit.tohex(255)",
    "bit.tohex(255, 2)", "bit.tohex(0xabcdef, -4)", "bit.tohex(1, 0)", "bit.tobit(2^32 + 5)",
    "bit.tobit(-1)", "bit.tobit(2^31)", "bit.lshift(1, 33)", "bit.tobit(1.5)", "bit.tobit(2.5)",
    "bit.tobit(-1.5)"};

static void agree_with_the_engine(void **state) {
    (void)state;
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char text[256];
        snprintf(text, sizeof text, "return ('%%.14g'):format((%s))", same[i]);
        if (strstr(same[i], "tohex")) snprintf(text, sizeof text, "return %s", same[i]);
        if (luaL_dostring(L, text)) fail_msg("%s", lua_tostring(L, -1));
        expect_answer(text + 7, lua_tostring(L, -1));
        lua_settop(L, 0);
    }
    lua_close(L);
}

static void no_number_is_undefined(void **state) {
    (void)state;
    expect_answer("bit.tobit(0/0) + bit.tobit(1/0) + bit.tobit(-1/0)", "0");
    expect_answer("type(bit.tobit(1e300))", "number");
    expect_answer("math.ldexp(1, 1e300)", "inf");
    expect_answer("math.ldexp(1, 0/0)", "1");
}

static const char DRAW[] =
    "return function() local t = {} for i = 1, 20 do t[i] = math.random(1000) end "
    "t[21] = math.random() t[22] = math.random(-5, 5) return table.concat(t, ',') end";

static void random_follows_the_seed(void **state) {
    (void)state;
    char first[4096];
    tenant_t a, b;
    sandbox_limits_t limits = tenant_limits();
    tenant_open(&a, &limits);
    tenant_open(&b, &limits);
    assert_int_equal(tenant_run(&a, DRAW), 0);
    memcpy(first, a.answer, sizeof first);
    assert_int_equal(tenant_run(&a, DRAW), 0);
    assert_string_equal(a.answer, first);
    assert_int_equal(tenant_run(&b, DRAW), 0);
    assert_string_equal(b.answer, first);
    tenant_close(&a);
    tenant_close(&b);
}

static void random_stays_in_its_interval(void **state) {
    (void)state;
    expect_answer("(function() for i = 1, 1000 do local x = math.random(3) assert(x >= 1 and x <= "
                  "3 and x % 1 == 0) "
                  "local y = math.random() assert(y >= 0 and y < 1) end return 'ok' end)()",
        "ok");
    expect_fault("math.random(0)", ERR_RULE_ERROR, "interval is empty");
    expect_fault("math.random(2, 1)", ERR_RULE_ERROR, "interval is empty");
    expect_fault("math.random(0/0)", ERR_RULE_ERROR, "interval is empty");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree_with_the_engine),
        cmocka_unit_test(no_number_is_undefined),
        cmocka_unit_test(random_follows_the_seed),
        cmocka_unit_test(random_stays_in_its_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
