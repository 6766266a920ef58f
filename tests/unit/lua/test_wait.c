/* test_wait.c: wait_all and sleep: order, errors, cancelling, limits. */
#include "lua/driver.h"

static void test_results_come_in_order(void **state) {
    bench_expect(*state,
        "local r = wait_all{\n"
        "  function() sleep(30) return 'slow', 1 end,\n"
        "  function() return 'fast' end,\n"
        "  function() sleep(1) end}\n"
        "return #r .. r[1][1] .. r[1].n .. r[2][1] .. r[3].n .. tostring(r[3].ok)",
        "3slow2fast0true");
}

static void test_children_wait_side_by_side(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run,
        "local r = wait_all{function() return (op('later', 0, 1)) end,\n"
        "  function() return (op('later', 0, 2)) end}\n"
        "return r[1][1] .. r[2][1]",
        0);
    assert_int_equal(driver.begun, 0); /* children start from the loop */
    while (driver.begun < 2)
        loop_turn(bench->loop, 50);
    await_finish(&driver.first[1]->await);
    loop_turn(bench->loop, 0);
    assert_false(run.done);
    await_finish(&driver.first[0]->await);
    bench_wait(bench, &run);
    assert_string_equal(run.text, "12");
    assert_int_equal(driver.released, 2);
}

static void test_an_error_stays_with_its_child(void **state) {
    bench_expect(*state,
        "local r = wait_all{function() error('lost') end, function() return 'ok' end}\n"
        "return tostring(r[1].ok) .. r[1].error .. r[2][1]",
        "falsetest.lua:1: lostok");
    bench_expect(*state,
        "local r = wait_all{function() sleep(1) error({status = 409}) end}\n"
        "return r[1].error.status",
        "409");
}

static void test_traceback_goes_on_to_the_parent(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_run(bench, &run,
        "local function parent()\n"
        "  local r = wait_all{function()\n    sleep(1)\n    error('lost')\n  end}\n"
        "  error(r[1].traceback, 0)\nend\nparent() return 1");
    assert_int_equal(run.end, TASK_ERROR);
    assert_non_null(strstr(run.text, "test.lua:4: lost"));
    assert_non_null(strstr(run.text, "waited for by:"));
    assert_non_null(strstr(run.text, "test.lua:2: in function 'parent'"));
}

static void test_arguments_are_checked(void **state) {
    bench_t *bench = *state;
    bench_expect(bench, "return #wait_all{}", "0");
    bench_expect(bench, "return tostring(pcall(wait_all, {1}))", "false");
    bench_expect(bench, "return tostring(pcall(wait_all))", "false");
    bench_expect(bench,
        "local t = {} for i = 1, 65 do t[i] = function() end end return tostring(pcall(wait_all, "
        "t))",
        "false");
    bench_expect(bench,
        "local t = {} for i = 1, 64 do t[i] = function() sleep(1) return i end end\n"
        "local n = 0 for _, r in ipairs(wait_all(t)) do n = n + r[1] end return n",
        "2080");
    bench_expect(
        bench, "return tostring(pcall(sleep, -1)) .. tostring(pcall(sleep, 0/0))", "falsefalse");
}

static void test_nesting_is_bounded(void **state) {
    bench_expect(*state,
        "local function nest(n)\n"
        "  local r = wait_all{function() if n > 0 then return nest(n - 1) end return 'deep' "
        "end}[1]\n"
        "  return r.ok and r[1] or tostring(r.error):match('nests too deep') or '?'\n"
        "end return nest(1) .. ', ' .. nest(2)",
        "deep, nests too deep");
}

static void test_changing_the_list_meanwhile_is_harmless(void **state) {
    bench_expect(*state,
        "local list list = {function() list[2] = nil sleep(1) return 1 end, function() return 2 "
        "end}\n"
        "local r = wait_all(list) return r[1][1] + r[2][1]",
        "3");
}

static void test_children_share_the_deadline(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run,
        "local r = wait_all{function() local v, text, name = sleep(60000) return name end}\n"
        "return r[1][1]",
        20);
    bench_wait(bench, &run);
    assert_int_equal(run.end, TASK_OK);
    assert_string_equal(run.text, "timeout");
}

static void test_cancelling_the_parent_cancels_the_children(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run,
        "wait_all{function() op('cancel_finishes') end, function() op('cancel_finishes') end,\n"
        "  function() wait_all{function() op('cancel_finishes') end} end}",
        0);
    while (driver.begun < 3)
        loop_turn(bench->loop, 50);
    task_cancel(run.task);
    assert_int_equal(run.end, TASK_CANCELLED);
    assert_int_equal(driver.cancelled, 3);
    assert_int_equal(driver.released, 3);
    assert_int_equal(bench->vm->children, 0);
}

static void test_cancelling_before_the_children_start(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "wait_all{function() op() end}", 0);
    task_cancel(run.task);
    loop_turn(bench->loop, 0);
    assert_int_equal(driver.begun, 0);
    assert_int_equal(bench->vm->children, 0);
}

static run_t parent;

static int cancel_parent(lua_State *L) {
    (void)L;
    task_cancel(parent.task);
    return 0;
}

static void test_a_child_may_cancel_its_parent(void **state) {
    bench_t *bench = *state;
    lua_pushcfunction(bench->vm->L, cancel_parent);
    lua_setglobal(bench->vm->L, "cancel_parent");
    bench_start(bench, &parent,
        "wait_all{function() op('cancel_finishes') end, function() cancel_parent() op() end,\n"
        "  function() op() end}",
        0);
    bench_wait(bench, &parent);
    assert_int_equal(parent.end, TASK_CANCELLED);
    assert_int_equal(driver.begun, 1);
    assert_int_equal(bench->vm->children, 0);
}

static void test_survives_any_failed_allocation(void **state) {
    bench_t *bench = *state;
    for (int64_t n = 0; n < 60; n++) {
        run_t run;
        bench_start(bench, &run,
            "local r = wait_all{function() sleep(1) return 'a' end, function() error({}) end} "
            "return 'ok'",
            0);
        bench->vm->fail_after = n;
        bench_wait(bench, &run);
        bench->vm->fail_after = -1;
        assert_int_equal(bench->vm->children, 0);
    }
    bench_expect(bench, "return wait_all{function() return 'ok' end}[1][1]", "ok");
}

static void test_sleep_can_be_cancelled(void **state) {
    run_t run;
    bench_start(*state, &run, "sleep(60000)", 0);
    task_cancel(run.task);
    assert_int_equal(run.end, TASK_CANCELLED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, driver_open, driver_close)
int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_results_come_in_order),
        CASE(test_children_wait_side_by_side),
        CASE(test_an_error_stays_with_its_child),
        CASE(test_traceback_goes_on_to_the_parent),
        CASE(test_arguments_are_checked),
        CASE(test_nesting_is_bounded),
        CASE(test_changing_the_list_meanwhile_is_harmless),
        CASE(test_children_share_the_deadline),
        CASE(test_cancelling_the_parent_cancels_the_children),
        CASE(test_cancelling_before_the_children_start),
        CASE(test_a_child_may_cancel_its_parent),
        CASE(test_survives_any_failed_allocation),
        CASE(test_sleep_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
