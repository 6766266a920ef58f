/* test_lib_table.c: the tenants' table functions, and pairs and next in sorted order. */
#include "lua/tenant.h"

static void lists_behave_as_in_lua(void **state) {
    (void)state;
    expect_answer("(function() local t = {1, 2} table.insert(t, 3) table.insert(t, 1, 0) "
                  "return table.concat(t, ',') end)()",
        "0,1,2,3");
    expect_answer(
        "(function() local t = {1, 2, 3} local a, b = table.remove(t, 1), table.remove(t) "
        "return a .. b .. #t .. tostring((table.remove({}))) end)()",
        "131nil");
    expect_answer("table.concat({1, 'b', 3}, '-', 2, 3)", "b-3");
    expect_answer("table.concat({}, ',')", "");
    expect_answer("table.maxn({1, 2, [7.5] = 1, x = 9})", "7.5");
    expect_answer("select('#', unpack({1, nil, 3}, 1, 3))", "3");
    expect_answer("select('#', unpack({}, 5, 1))", "0");
    expect_answer("table.unpack == unpack", "true");
    expect_fault("table.concat({1, {}, 3})", ERR_RULE_ERROR, "invalid value (table) at index 2");
    expect_fault("table.insert({}, 1, 2, 3)", ERR_RULE_ERROR, "wrong number of arguments");
    expect_fault("unpack({}, 1, 1e7)", ERR_RULE_ERROR, "too many results to unpack");
    expect_fault("table.insert({}, 1e300, 1)", ERR_RULE_ERROR, "position out of range");
}

static void sort_orders_and_is_stable(void **state) {
    (void)state;
    expect_answer("(function() local t = {} for i = 1, 1000 do t[i] = (i * 7919) % 1009 end "
                  "table.sort(t) for i = 2, 1000 do assert(t[i - 1] <= t[i]) end return #t end)()",
        "1000");
    expect_answer("(function() local t = {'b', 'a', 'c'} "
                  "table.sort(t, function(a, b) return a > b end) return table.concat(t) end)()",
        "cba");
    expect_answer("(function() local t = {} for i = 1, 100 do t[i] = {k = i % 3, i = i} end "
                  "table.sort(t, function(a, b) return a.k < b.k end) "
                  "for i = 2, 100 do assert(t[i - 1].k < t[i].k or t[i - 1].i < t[i].i) end "
                  "return 'stable' end)()",
        "stable");
    expect_fault("table.sort({1, 'x'})", ERR_RULE_ERROR, "attempt to compare");
}

static void sort_survives_a_bad_order(void **state) {
    (void)state;
    expect_answer("(function() local t = {} for i = 1, 300 do t[i] = i end "
                  "table.sort(t, function() return true end) table.sort(t) "
                  "for i = 1, 300 do assert(t[i] == i) end return 'whole' end)()",
        "whole");
    expect_answer("(function() local t = {3, 2, 1} "
                  "table.sort(t, function(a, b) t[1], t[2], t[3] = nil return a < b end) "
                  "return table.concat(t, ',') end)()",
        "1,2,3");
}

#define KEYS                                                                                       \
    "{z = 1, a = 2, [3] = 3, [1] = 4, [-2.5] = 5, [true] = 6, [false] = 7, ['1'] = 8, [1e9] = 9}"

static void pairs_go_in_sorted_order(void **state) {
    (void)state;
    const char *order = "-2.5 1 3 1000000000 1 a z false true ";
    expect_answer("(function() local s = '' for k in pairs(" KEYS
                  ") do s = s .. tostring(k) .. ' ' end "
                  "return s end)()",
        order);
    expect_answer("(function() local s = '' for k in next, " KEYS
                  " do s = s .. tostring(k) .. ' ' end "
                  "return s end)()",
        order);
    expect_answer("tostring(next({}))", "nil");
    expect_answer(
        "(function() local n = 0 for k, v in pairs({}) do n = n + 1 end return n end)()", "0");
    expect_fault("pairs({[{}] = 1})", ERR_RULE_ERROR, "keys of type table have no order");
    expect_fault("next({a = 1}, {})", ERR_RULE_ERROR, "keys of type table have no order");
}

static void a_table_may_change_under_pairs(void **state) {
    (void)state;
    expect_answer("(function() local t, s = {a = 1, b = 2, c = 3}, '' "
                  "for k in pairs(t) do s = s .. k t[k] = nil t.b = nil end return s end)()",
        "ac");
    expect_answer("(function() local t, n = {1, 2, 3}, 0 "
                  "for k in pairs(t) do t[k] = k + 1 t[k + 10] = 1 n = n + 1 end return n end)()",
        "3");
}

static int fill(lua_State *L) {
    lua_pushliteral(L, "late");
    lua_setfield(L, 1, "name");
    lua_pushnil(L);
    lua_setmetatable(L, 1);
    return 0;
}

static int push_lazy(lua_State *L, void *data) {
    (void)data;
    lua_newtable(L);
    lua_newtable(L);
    lua_pushcfunction(L, fill);
    lua_setfield(L, -2, "__fill");
    lua_setmetatable(L, -2);
    return 1;
}

static void lazy_tables_are_filled_first(void **state) {
    (void)state;
    static const char *const rules[] = {
        "return function(t) for k, v in pairs(t) do return k .. v end end",
        "return function(t) local k, v = next(t) return k .. v end",
        "return function(t) return 'name' .. rawget(t, 'name') end"};
    for (int i = 0; i < 3; i++) {
        tenant_t tenant;
        int ref;
        sandbox_limits_t limits = tenant_limits();
        tenant_open(&tenant, &limits);
        sandbox_load(tenant.sandbox, span_of(rules[i]), "rule.lua", &ref, &tenant.fault);
        sandbox_begin(tenant.sandbox, 1);
        assert_int_equal(
            sandbox_call(tenant.sandbox, ref, push_lazy, tenant_take, &tenant, &tenant.fault), 0);
        sandbox_end(tenant.sandbox, NULL);
        assert_string_equal(tenant.answer, "namelate");
        tenant_close(&tenant);
    }
}

static void large_tables_are_refused(void **state) {
    (void)state;
    expect_answer(
        "(function() local t = {} for i = 1, 4096 do t['k' .. i] = 1 end return 'fits' end)()",
        "fits");
    expect_fault("(function() local t = {} for i = 1, 4097 do t['k' .. i] = 1 end end)()",
        ERR_BUDGET_MEMORY, "too much memory");
    expect_answer(
        "(function() local t = {} for i = 1, 65000 do t[i] = i end return #t end)()", "65000");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_behave_as_in_lua),
        cmocka_unit_test(sort_orders_and_is_stable),
        cmocka_unit_test(sort_survives_a_bad_order),
        cmocka_unit_test(pairs_go_in_sorted_order),
        cmocka_unit_test(a_table_may_change_under_pairs),
        cmocka_unit_test(lazy_tables_are_filled_first),
        cmocka_unit_test(large_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
