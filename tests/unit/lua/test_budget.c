/* test_budget.c: what ends a script and when, under clocks of the test's own; and what a call leaves to the next
   one. */
#include "lua/tenant.h"
#include "lua/budget.h"
#ifdef PERIGEE_SANITIZE
#define MS UINT64_C(8000000) /* the budget's own factor under sanitizers */
#else
#define MS UINT64_C(1000000)
#endif

static uint64_t wall, own; /* the test's clocks */
static uint64_t read_wall(void) {
    return wall;
}
static uint64_t read_own(void) {
    return own;
}
/* A machine on which each look at the clock takes a millisecond. */
static uint64_t read_hurried(void) {
    wall += MS;
    own = wall;
    return wall;
}

static int stop_clocks(void **state) {
    (void)state;
    wall = own = 5 * MS;
    budget_clocks = (budget_clocks_t){read_wall, read_wall, read_own};
    return 0;
}

static budget_t started(void) {
    budget_t budget;
    sandbox_limits_t limits;
    sandbox_limits_default(&limits);
    budget_create(&budget, &limits);
    budget.start_ns = wall;
    return budget;
}

static void ends_after_its_time(void **state) {
    (void)state;
    budget_t budget = started();
    for (int ms = 0; ms < 10; ms++, wall += MS, own += MS)
        assert_int_equal(budget_check(&budget, 0, false), 0);
    assert_int_equal(budget_check(&budget, 0, false), ERR_BUDGET_TIME);
    assert_int_equal(budget_check(&budget, 0, true), ERR_BUDGET_TIME);
}

static void a_busy_machine_refuses_no_sound_rule(void **state) {
    (void)state;
    budget_t budget = started();
    /* Somebody else has the core for a second; the rule itself needs three milliseconds. */
    wall += 1000 * MS;
    assert_int_equal(budget_check(&budget, 0, false), 0);
    for (int ms = 0; ms < 3; ms++, wall += 300 * MS, own += MS)
        assert_int_equal(budget_check(&budget, 0, false), 0);
    /* A rule that does not end is stopped by its own time. */
    wall += 10 * MS;
    own += 10 * MS;
    assert_int_equal(budget_check(&budget, 0, false), ERR_BUDGET_TIME);
}

static void the_precise_clock_may_lead_the_coarse(void **state) {
    (void)state;
    budget_t budget = started();
    wall -= 4 * MS;
    assert_int_equal(budget_check(&budget, 0, false), 0);
}

static void counts_bytes_and_instructions(void **state) {
    (void)state;
    budget_t budget = started();
    budget.instructions = budget.instructions_max;
    assert_int_equal(budget_check(&budget, budget.allocated_max, false), 0);
    assert_int_equal(budget_check(&budget, budget.allocated_max + 1, false), ERR_BUDGET_MEMORY);
    budget = started();
    budget.instructions = budget.instructions_max + 1;
    assert_int_equal(budget_check(&budget, 0, false), ERR_BUDGET_INSTRUCTIONS);
}

static void a_script_ends_by_the_clock(void **state) {
    (void)state;
    tenant_t tenant;
    sandbox_limits_t limits;
    sandbox_limits_default(&limits);
    budget_clocks = (budget_clocks_t){read_hurried, read_hurried, read_own};
    tenant_open(&tenant, &limits);
    assert_int_equal(tenant_run(&tenant, "\n\nwhile true do end"), ERR_BUDGET_TIME);
    assert_string_equal(tenant.fault.file, "rule.lua");
    assert_int_equal(tenant.fault.line, 3);
    assert_true(tenant.usage.instructions < 10000);
    assert_true(tenant.usage.nanoseconds >= 10 * MS);
    tenant_close(&tenant);
}

static void a_pattern_ends_by_the_clock(void **state) {
    (void)state;
    tenant_t tenant;
    sandbox_limits_t limits;
    sandbox_limits_default(&limits);
    budget_clocks = (budget_clocks_t){read_hurried, read_hurried, read_own};
    tenant_open(&tenant, &limits);
    const char *rule = "local x = (('a'):rep(28)):find(('a?'):rep(28) .. ('a'):rep(28))";
    assert_int_equal(tenant_run(&tenant, rule), ERR_BUDGET_TIME);
    assert_true(tenant.usage.instructions < 200000);
    tenant_close(&tenant);
}

static void instructions_add_up_over_calls(void **state) {
    (void)state;
    tenant_t tenant;
    int ref, err = 0, calls = 0;
    sandbox_limits_t limits = tenant_limits();
    limits.instructions = 100000;
    tenant_open(&tenant, &limits);
    const char *rule = "return function() for i = 1, 10000 do local x = i * 2 end end";
    assert_int_equal(
        sandbox_load(tenant.sandbox, span_of(rule), "rule.lua", &ref, &tenant.fault), 0);
    sandbox_begin(tenant.sandbox, 1);
    for (; calls < 100 && !err; calls++)
        err = sandbox_call(tenant.sandbox, ref, tenant_push, tenant_take, &tenant, &tenant.fault);
    assert_int_equal(err, ERR_BUDGET_INSTRUCTIONS);
    assert_in_range(calls, 3, 9);
    /* Nothing more runs until the next begin. */
    assert_int_equal(
        sandbox_call(tenant.sandbox, ref, tenant_push, tenant_take, &tenant, &tenant.fault),
        ERR_BUDGET_INSTRUCTIONS);
    sandbox_end(tenant.sandbox, &tenant.usage);
    assert_true(tenant.usage.instructions > 100000 && tenant.usage.instructions < 110000);
    sandbox_begin(tenant.sandbox, 1);
    assert_int_equal(
        sandbox_call(tenant.sandbox, ref, tenant_push, tenant_take, &tenant, &tenant.fault), 0);
    sandbox_end(tenant.sandbox, NULL);
    tenant_close(&tenant);
}

/* Interpreted code alone passes the hook: were a trace compiled, a loop of a million would count next to nothing. */
static void nothing_is_ever_compiled(void **state) {
    (void)state;
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    tenant_open(&tenant, &limits);
    assert_int_equal(
        tenant_run(&tenant,
            "return function() local n = 0 for i = 1, 1000000 do n = n + i end return n end"),
        0);
    assert_true(tenant.usage.instructions >= 2000000);
    tenant_close(&tenant);
}

static void allocation_is_charged_even_if_freed(void **state) {
    (void)state;
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    limits.allocated = 1 << 20;
    tenant_open(&tenant, &limits);
    assert_int_equal(
        tenant_run(&tenant, "while true do local t = {1, 2, 3} end"), ERR_BUDGET_MEMORY);
    assert_true(tenant.usage.allocated > 1 << 20 && tenant.usage.allocated < 2 << 20);
    assert_false(sandbox_spent(tenant.sandbox));
    tenant_close(&tenant);
}

static void a_full_heap_spends_the_vm(void **state) {
    (void)state;
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    limits.allocated = UINT64_MAX / 2;
    tenant_open(&tenant, &limits);
    assert_int_equal(
        tenant_run(&tenant, "local t = {} for i = 1, 1e7 do t[i] = {i} end"), ERR_BUDGET_MEMORY);
    assert_true(sandbox_spent(tenant.sandbox));
    tenant_close(&tenant);
}

/* A rule that ends well just below the limit: its VM would fail the next call, so it is given back. */
static void a_nearly_full_heap_is_given_back(void **state) {
    (void)state;
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    tenant_open(&tenant, &limits);
    const char *rule = "local t = {} for i = 1, 780 do t[i] = ('x'):rep(4000 + i) end return "
                       "function() return #t end";
    assert_int_equal(tenant_run(&tenant, rule), 0);
    assert_true(tenant.usage.memory > limits.memory / 4 * 3);
    assert_true(sandbox_spent(tenant.sandbox));
    tenant_close(&tenant);
}

static void a_grown_heap_is_collected(void **state) {
    (void)state;
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    tenant_open(&tenant, &limits);
    size_t before = sandbox_vm(tenant.sandbox)->used;
    for (int i = 0; i < 20; i++) {
        const char *rule = "local t = {} for i = 1, 8 do t[i] = ('x'):rep(200000 + i) end return "
                           "function() return #t end";
        assert_int_equal(tenant_run(&tenant, rule), 0);
        assert_true(tenant.usage.memory > 1500000);
        assert_true(sandbox_vm(tenant.sandbox)->used < before + 200000);
        assert_false(sandbox_spent(tenant.sandbox));
    }
    tenant_close(&tenant);
}

/* Near the limit the collector must not wait for the heap to double. */
static void a_large_live_set_leaves_room_for_garbage(void **state) {
    (void)state;
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    limits.allocated = UINT64_MAX / 2;
    tenant_open(&tenant, &limits);
    const char *rule =
        "local live = {} for i = 1, 9 do live[i] = ('L'):rep(200000 + i) end "
        "for i = 1, 20000 do local g = {i, i, i, i} end return function() return #live end";
    if (tenant_run(&tenant, rule) != 0) fail_msg("%s", tenant.fault.text);
    tenant_close(&tenant);
}

static void every_allocation_of_a_call_may_fail(void **state) {
    (void)state;
    const char *rule =
        "return function(cart) local t = {} for k in pairs({b = 1, a = 2}) do t[#t + 1] = k end "
        "local s = ('%s-%5.2f'):format(table.concat(t, ','), 3.5):gsub('%d', function(d) return d "
        ".. d end) "
        "table.sort(t) log(s) return (pcall(error, {}) and 'x' or s) .. tostring(#t) end";
    int err = -1;
    for (int n = 0; err != 0; n++) {
        tenant_t tenant;
        int ref;
        sandbox_limits_t limits = tenant_limits();
        tenant_open(&tenant, &limits);
        sandbox_vm(tenant.sandbox)->fail_after = n;
        err = sandbox_load(tenant.sandbox, span_of(rule), "rule.lua", &ref, &tenant.fault);
        if (!err) {
            sandbox_begin(tenant.sandbox, 1);
            err =
                sandbox_call(tenant.sandbox, ref, tenant_push, tenant_take, &tenant, &tenant.fault);
            sandbox_end(tenant.sandbox, NULL);
        }
        if (err) {
            assert_int_equal(err, ERR_BUDGET_MEMORY);
            assert_true(sandbox_spent(tenant.sandbox));
        }
        tenant_close(&tenant);
        assert_true(n < 2000);
    }
}

int main(void) {
    const budget_clocks_t real = budget_clocks;
    const struct CMUnitTest timed[] = {
        cmocka_unit_test_setup(ends_after_its_time, stop_clocks),
        cmocka_unit_test_setup(a_busy_machine_refuses_no_sound_rule, stop_clocks),
        cmocka_unit_test_setup(the_precise_clock_may_lead_the_coarse, stop_clocks),
        cmocka_unit_test_setup(counts_bytes_and_instructions, stop_clocks),
        cmocka_unit_test_setup(a_script_ends_by_the_clock, stop_clocks),
        cmocka_unit_test_setup(a_pattern_ends_by_the_clock, stop_clocks),
    };
    const struct CMUnitTest counted[] = {
        cmocka_unit_test(instructions_add_up_over_calls),
        cmocka_unit_test(nothing_is_ever_compiled),
        cmocka_unit_test(allocation_is_charged_even_if_freed),
        cmocka_unit_test(a_full_heap_spends_the_vm),
        cmocka_unit_test(a_nearly_full_heap_is_given_back),
        cmocka_unit_test(a_grown_heap_is_collected),
        cmocka_unit_test(a_large_live_set_leaves_room_for_garbage),
        cmocka_unit_test(every_allocation_of_a_call_may_fail),
    };
    int failed = cmocka_run_group_tests(timed, NULL, NULL);
    budget_clocks = real;
    return failed + cmocka_run_group_tests(counted, NULL, NULL);
}
