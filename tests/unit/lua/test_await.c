/* test_await.c: every way in which a wait begins, finishes, is abandoned or is refused, and that it is released
   once. */
#include "lua/driver.h"

static void test_finishes_later(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "local a, b = op() return a .. b", 0);
    assert_non_null(run.task);
    await_finish(&driver.last->await);
    assert_false(run.done); /* never inside the call that finishes */
    bench_wait(bench, &run);
    assert_string_equal(run.text, "7second");
    assert_int_equal(driver.released, 1);
}

static void test_finishes_inside_the_call_that_started_it(void **state) {
    bench_expect(*state, "local a, b = op('at_once') return a .. b", "7second");
    assert_int_equal(driver.released, 1);
}

static void test_refusal_is_a_value(void **state) {
    bench_expect(*state, "local v, text, name = op('refused') return tostring(v) .. text .. name",
        "nilthe queue is fullbusy");
    assert_int_equal(driver.pushed, 0);
    assert_int_equal(driver.released, 1);
}

static void test_fails_later_with_the_sentence_of_the_error(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "local v, text, name = op() return text .. ', ' .. name", 0);
    await_fail(&driver.last->await, ERR_CLOSED, NULL);
    bench_wait(bench, &run);
    assert_string_equal(run.text, "the other side closed the connection, closed");
}

static void test_a_raising_push_is_an_error_value(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(
        bench, &run, "local v, text, name = op('later', 0, -1) return text .. ', ' .. name", 0);
    await_finish(&driver.last->await);
    bench_wait(bench, &run);
    assert_string_equal(run.text, "the result is broken, internal");
    bench_expect(bench, "local v, text, name = op('at_once', 0, -1) return name", "internal");
    assert_int_equal(driver.released, 2);
}

/* Whichever allocation fails: a wait answers, raises or ends the task, and is released once. */
static void test_survives_any_failed_allocation(void **state) {
    bench_t *bench = *state;
    for (int64_t n = 0; n < 30; n++) {
        run_t run;
        bench_start(bench, &run, "local a, b = op() return a .. b", 0);
        bench->vm->fail_after = n;
        await_finish(&driver.last->await);
        bench_wait(bench, &run);
        bench->vm->fail_after = -1;
        assert_int_equal(driver.released, n + 1);
    }
    bench_expect(bench, "return (op('at_once'))", "7");
}

static void test_deadline_answers_while_the_driver_still_works(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "local v, text, name = op('later', 20) return tostring(v) .. name", 0);
    op_t *op = driver.last;
    bench_wait(bench, &run);
    assert_string_equal(run.text, "niltimeout");
    assert_int_equal(driver.cancelled, 1);
    assert_int_equal(driver.released, 0);
    await_finish(&op->await);
    assert_int_equal(driver.released, 1);
    assert_int_equal(driver.pushed, 0);
}

static void test_deadline_with_a_driver_that_finishes_in_cancel(void **state) {
    bench_expect(*state, "local v, text, name = op('cancel_finishes', 20) return name", "timeout");
    assert_int_equal(driver.released, 1);
}

static void test_the_earlier_deadline_counts(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "local v, text, name = op('cancel_finishes', 60000) return name", 20);
    assert_true(await_left(&driver.last->await) <= 20);
    bench_wait(bench, &run);
    assert_int_equal(run.end, TASK_OK);
    assert_string_equal(run.text, "timeout");
}

static void test_no_wait_begins_behind_the_deadline(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "op('cancel_finishes') op() return 'never'", 20);
    bench_wait(bench, &run);
    assert_int_equal(run.end, TASK_TIMEOUT);
    assert_non_null(strstr(run.text, "the deadline has passed"));
    assert_int_equal(driver.begun, 1);
}

static void test_a_finish_that_beats_the_deadline(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "return (op('later', 60000))", 0);
    await_finish(&driver.last->await);
    bench_wait(bench, &run);
    assert_string_equal(run.text, "7");
    assert_int_equal(driver.cancelled, 0);
}

static void test_cancel_while_the_driver_works(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "op() return 'never'", 0);
    op_t *op = driver.last;
    task_cancel(run.task);
    assert_true(run.done);
    assert_int_equal(run.end, TASK_CANCELLED);
    assert_int_equal(driver.cancelled, 1);
    assert_int_equal(driver.released, 0);
    loop_turn(bench->loop, 0);
    await_fail(&op->await, ERR_CANCELLED, NULL);
    assert_int_equal(driver.released, 1);
    assert_int_equal(driver.pushed, 0);
}

static void test_cancel_with_a_driver_that_finishes_in_cancel(void **state) {
    run_t run;
    bench_start(*state, &run, "op('cancel_finishes')", 0);
    task_cancel(run.task);
    assert_int_equal(run.end, TASK_CANCELLED);
    assert_int_equal(driver.released, 1);
}

static void test_cancel_between_finish_and_resume(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "op() return 'never'", 0);
    await_finish(&driver.last->await);
    task_cancel(run.task);
    assert_int_equal(run.end, TASK_CANCELLED);
    assert_int_equal(driver.cancelled, 0); /* it had finished: there is nothing to let go of */
    assert_int_equal(driver.released, 1);
    loop_turn(bench->loop, 0);
}

static void test_the_driver_may_outlive_the_vm(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "op()", 0);
    op_t *op = driver.last;
    task_cancel(run.task);
    vm_delete_trusted(bench->vm);
    await_finish(&op->await);
    assert_int_equal(driver.released, 1);
    bench->vm = vm_new_trusted(bench->loop, bench_loader, NULL);
}

/* Where a coroutine cannot yield the operation does not begin; else its driver would resume something dead. */
static void test_refuses_where_it_cannot_yield(void **state) {
    bench_t *bench = *state;
    const char *const places[] = {
        "table.sort({3, 2, 1}, function(a, b) op() return a < b end)",
        "('abc'):gsub('%a', function() op() end)",
        "assert(load(function() op() end))",
        "package.preload.waits = function() op() end require 'waits'",
        "coroutine.wrap(function() op() end)()",
        "coroutine.wrap(function() table.sort({2, 1}, function() op() end) end)()",
        "pcall(table.sort, {3, 2, 1}, function(a, b) op() return a < b end) error('cannot wait "
        "here')",
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        run_t run;
        bench_start(bench, &run, places[i], 0);
        assert_true(run.done);
        assert_int_equal(run.end, TASK_ERROR);
        if (strstr(run.text, "cannot wait here") == NULL)
            print_error("%s: %s\n", places[i], run.text);
        assert_non_null(strstr(run.text, "cannot wait here"));
        assert_int_equal(driver.begun, 0);
    }
    bench_expect(bench, "return (op('at_once'))", "7");
}

/* Also in code that the JIT has compiled, and when the refusal has been seen often. */
static void test_refuses_in_compiled_code(void **state) {
    bench_expect(*state,
        "local refused = 0\n"
        "for i = 1, 300 do\n"
        "  local t = {} for k = 1, 20 do t[k] = (k * 7) % 20 end\n"
        "  local ok, e = pcall(table.sort, t, function(a, b) if a == 19 or b == 19 then op() end "
        "return a < b "
        "end)\n"
        "  if not ok and e:find('cannot wait here', 1, true) then refused = refused + 1 end\n"
        "end return refused",
        "300");
    assert_int_equal(driver.begun, 0);
}

static void test_waits_where_lua_can_yield(void **state) {
    bench_t *bench = *state;
    const char *const places[] = {
        "return (op())",
        "return select(2, pcall(op))",
        "return select(2, pcall(pcall, op)) and 7",
        "return select(2, xpcall(function() return (op()) end, debug.traceback))",
        "return setmetatable({}, {__index = function() return (op()) end}).field",
        "return (setmetatable({}, {__add = function() return (op()) end}) + 1)",
        "for v in function(_, last) if not last then return (op()) end end do return v end",
        "return tostring(setmetatable({}, {__tostring = function() return (op()) end}))",
        "return (table.foreach({1}, function() return (op()) end))",
        "local n = 0 for i = 1, 300 do n = n + i end return (op())",
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        run_t run;
        bench_start(bench, &run, places[i], 0);
        if (driver.last == NULL) print_error("%s: %s\n", places[i], run.text);
        assert_non_null(driver.last);
        await_finish(&driver.last->await);
        bench_wait(bench, &run);
        assert_string_equal(run.text, "7");
    }
}

static int wait_outside(lua_State *L) {
    return l_op(L);
}

static void test_refuses_outside_of_a_task(void **state) {
    bench_t *bench = *state;
    char error[256];
    lua_pushnil(bench->vm->L);
    lua_pop(bench->vm->L, 1);
    assert_int_not_equal(vm_protect(bench->vm, wait_outside, NULL, error, sizeof error), 0);
    assert_int_equal(driver.begun, 0);
}

static void test_hot_loop_of_waits(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run,
        "local n = 0 for i = 1, 200 do n = n + op('at_once') n = n + op() end return n", 0);
    while (!run.done) {
        if (driver.last != NULL && driver.last->await.ops != NULL)
            await_finish(&driver.last->await);
        driver.last = NULL;
        loop_turn(bench->loop, 0);
    }
    assert_string_equal(run.text, "2800");
    assert_int_equal(driver.released, 400);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, driver_open, driver_close)
int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_finishes_later),
        CASE(test_finishes_inside_the_call_that_started_it),
        CASE(test_refusal_is_a_value),
        CASE(test_fails_later_with_the_sentence_of_the_error),
        CASE(test_a_raising_push_is_an_error_value),
        CASE(test_survives_any_failed_allocation),
        CASE(test_deadline_answers_while_the_driver_still_works),
        CASE(test_deadline_with_a_driver_that_finishes_in_cancel),
        CASE(test_the_earlier_deadline_counts),
        CASE(test_no_wait_begins_behind_the_deadline),
        CASE(test_a_finish_that_beats_the_deadline),
        CASE(test_cancel_while_the_driver_works),
        CASE(test_cancel_with_a_driver_that_finishes_in_cancel),
        CASE(test_cancel_between_finish_and_resume),
        CASE(test_the_driver_may_outlive_the_vm),
        CASE(test_refuses_where_it_cannot_yield),
        CASE(test_refuses_in_compiled_code),
        CASE(test_waits_where_lua_can_yield),
        CASE(test_refuses_outside_of_a_task),
        CASE(test_hot_loop_of_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
