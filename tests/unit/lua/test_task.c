/* test_task.c: how tasks start, end, are cancelled, and what their errors say. */
#include "lua/driver.h"

static void test_results_and_arguments(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_run(bench, &run, "return 'a', 2, nil");
    assert_int_equal(run.end, TASK_OK);
    assert_int_equal(run.nresults, 3);
    assert_string_equal(run.text, "a");
    bench_run(bench, &run, "");
    assert_int_equal(run.nresults, 0);
}

static void test_push_that_raises_ends_the_task(void **state) {
    run_t run;
    bench_run(*state, &run, "local local");
    assert_int_equal(run.end, TASK_ERROR);
    assert_non_null(strstr(run.text, "test.lua:1:"));
}

static void test_error_carries_traceback_across_waits(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run,
        "local function inner()\n op()\n error('lost')\nend\n"
        "local function outer()\n inner()\n return 1\nend\nouter()\nreturn 1",
        0);
    await_finish(&driver.last->await);
    bench_wait(bench, &run);
    assert_int_equal(run.end, TASK_ERROR);
    assert_non_null(strstr(run.text, "test.lua:3: lost"));
    assert_non_null(strstr(run.text, "test.lua:6:"));
    assert_non_null(strstr(run.text, "test.lua:9:"));
    assert_non_null(strstr(run.text, "in request r-1"));
}

static void test_error_tables_reach_the_owner(void **state) {
    run_t run;
    bench_run(*state, &run, "error({status = 409, detail = 'it has changed'})");
    assert_int_equal(run.end, TASK_ERROR);
    assert_string_equal(run.error_type, "table");
    assert_non_null(strstr(run.text, "it has changed"));
    bench_run(*state, &run, "error()");
    assert_int_equal(run.end, TASK_ERROR);
    assert_string_equal(run.error_type, "nil");
}

static void test_yield_outside_of_a_wait_is_an_error(void **state) {
    run_t run;
    bench_run(*state, &run, "coroutine.yield(1) return 'never'");
    assert_int_equal(run.end, TASK_ERROR);
    assert_non_null(strstr(run.text, "yielded outside of a wait"));
}

static void test_coroutines_of_the_script_work(void **state) {
    bench_expect(*state,
        "local gen = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)\n"
        "local a, b = gen(), gen() local w = op('at_once') return a + b + gen() + w",
        "13");
}

static void test_coroutine_is_reused_clean(void **state) {
    bench_t *bench = *state;
    bench_expect(bench, "first = coroutine.running() return 1", "1");
    bench_expect(bench, "return tostring(first == coroutine.running())", "true");
    bench_expect(bench, "setfenv(0, {}) return 1", "1");
    bench_expect(bench,
        "return tostring(getfenv(0) == _G) .. tostring(first == coroutine.running())", "truetrue");
    assert_int_equal(bench->vm->idle_count, 1);
}

static void test_coroutine_is_dropped_after_an_error_or_a_cancel(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_run(bench, &run, "first = coroutine.running() error('x')");
    assert_int_equal(bench->vm->idle_count, 0);
    bench_expect(bench, "return tostring(first == coroutine.running())", "false");
    bench_start(bench, &run, "first = coroutine.running() op('cancel_finishes')", 0);
    task_cancel(run.task);
    assert_int_equal(bench->vm->idle_count, 0);
    bench_expect(bench, "return tostring(first == coroutine.running())", "false");
}

static void test_many_at_once(void **state) {
    bench_t *bench = *state;
    enum { MANY = 300 };
    static run_t runs[MANY];
    static op_t *ops[MANY];
    for (int i = 0; i < MANY; i++) {
        bench_start(bench, &runs[i], "local t = {} local v = op() t[1] = v return t[1]", 0);
        ops[i] = driver.last;
    }
    assert_int_equal(bench->vm->children, MANY);
    for (int i = MANY - 1; i >= 0; i--)
        await_finish(&ops[i]->await);
    for (int i = 0; i < MANY; i++)
        bench_wait(bench, &runs[i]);
    for (int i = 0; i < MANY; i++)
        assert_string_equal(runs[i].text, "7");
    assert_int_equal(bench->vm->children, 0);
}

/* Enter and leave */

static int entered, left;
static const char *breaks;

static void enter(task_t *task) {
    assert_int_equal(entered, left); /* never nested */
    (void)task;
    entered++;
}

static void leave(task_t *task) {
    left++;
    if (breaks != NULL) task_break(task, breaks);
}

static task_t *start_guarded(bench_t *bench, run_t *run, const char *script, int waits) {
    static const task_ops_t guarded = {bench_done, enter, leave};
    bool alive;
    memset(run, 0, sizeof *run);
    entered = left = 0;
    task_options_t options = {.vm = bench->vm, .ops = &guarded, .user = run, .budget_waits = waits};
    task_t *task = task_start(&options, bench_push, (void *)script, &alive);
    if (alive) run->task = task;
    return alive ? task : NULL;
}

static void test_enter_and_leave_surround_each_resume(void **state) {
    bench_t *bench = *state;
    run_t run;
    start_guarded(bench, &run, "op() op('at_once') return 'ok'", 0);
    assert_int_equal(entered, 1);
    assert_int_equal(left, 1);
    await_finish(&driver.last->await);
    bench_wait(bench, &run);
    assert_int_equal(entered, 2);
    assert_int_equal(left, 2);
    assert_string_equal(run.text, "ok");
    start_guarded(bench, &run,
        "local r = wait_all{function() op('at_once') sleep(1) return 5 end} return r[1][1]", 0);
    bench_wait(bench, &run);
    assert_string_equal(run.text, "5");
    assert_int_equal(entered, left);
}

static void test_leave_breaks_the_task(void **state) {
    bench_t *bench = *state;
    run_t run;
    breaks = "the budget is spent";
    assert_null(start_guarded(bench, &run, "return 'ok'", 0));
    assert_int_equal(run.end, TASK_ERROR);
    assert_string_equal(run.text, "the budget is spent");
    assert_null(start_guarded(bench, &run, "op('cancel_finishes')", 0));
    assert_string_equal(run.text, "the budget is spent");
    assert_int_equal(driver.released, 1);
    breaks = NULL;
}

static void test_waits_are_counted(void **state) {
    bench_t *bench = *state;
    run_t run;
    start_guarded(bench, &run, "for i = 1, 3 do op('at_once') end return 'ok'", 3);
    assert_int_equal(run.end, TASK_OK);
    start_guarded(bench, &run, "for i = 1, 4 do op('at_once') end return 'ok'", 3);
    assert_int_equal(run.end, TASK_ERROR);
    assert_non_null(strstr(run.text, "too many waits"));
    start_guarded(bench, &run,
        "local r = wait_all{function() op('at_once') op('at_once') op('at_once') end}\n"
        "return r[1].error",
        3);
    bench_wait(bench, &run);
    assert_non_null(strstr(run.text, "too many waits"));
}

static run_t doomed;

static int cancel_self(lua_State *L) {
    task_t *task = task_of(L);
    task_cancel(task);
    assert_false(doomed.done);
    return 0;
}

static void test_cancel_from_inside(void **state) {
    bench_t *bench = *state;
    lua_pushcfunction(bench->vm->L, cancel_self);
    lua_setglobal(bench->vm->L, "cancel_self");
    bench_start(bench, &doomed, "cancel_self() return 'ended'", 0);
    assert_int_equal(doomed.end, TASK_CANCELLED);
    bench_start(bench, &doomed, "cancel_self() op()", 0);
    assert_int_equal(doomed.end, TASK_CANCELLED);
    assert_int_equal(driver.begun, 0);
}

static void test_time_is_kept_per_role(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "sleep(20) op() return 'ok'", 0);
    while (driver.last == NULL)
        loop_turn(bench->loop, 50);
    assert_true(task_waited_ns(run.task, "sleep") > 0);
    assert_int_equal(task_waited_ns(run.task, "test."), 0);
    await_finish(&driver.last->await);
    bench_wait(bench, &run);
}

static void on_done_starts_another(
    task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    run_t *next = task_user(task);
    bench_done(task, end, L, nresults, error);
    next->done = false;
    bool alive;
    task_options_t options = {.vm = task_vm(task), .ops = &bench_ops, .user = next};
    task_start(&options, bench_push, (void *)"return 'second'", &alive);
}

/* What a script has acquired for its request, as a binding would. */
typedef struct acquired {
    task_bond_t bond;
    int released;
    const task_t *owner;
} acquired_t;
static acquired_t acquired;

static void on_owner_ended(task_bond_t *bond) {
    LIST_OWNER(bond, acquired_t, bond)->released++;
}

static int l_acquire(lua_State *L) {
    acquired.bond.ended = on_owner_ended;
    list_init(&acquired.bond.node);
    acquired.owner = task_bind(L, &acquired.bond);
    return 0;
}

static void start_acquiring(bench_t *bench, run_t *run, const char *script) {
    memset(&acquired, 0, sizeof acquired);
    lua_register(bench->vm->L, "acquire", l_acquire);
    bench_start(bench, run, script, 0);
}

static void test_what_is_bound_goes_with_the_outermost_task(void **state) {
    bench_t *bench = *state;
    run_t run;
    start_acquiring(bench, &run, "wait_all{acquire} op()");
    while (!acquired.owner)
        loop_turn(bench->loop, 50);
    assert_ptr_equal(acquired.owner, run.task);
    loop_turn(bench->loop, 0);
    assert_int_equal(acquired.released, 0);
    task_cancel(run.task);
    assert_int_equal(acquired.released, 1);
    await_finish(&driver.last->await);
    start_acquiring(bench, &run, "acquire() error('lost')");
    assert_int_equal(acquired.released, 1);
    start_acquiring(bench, &run, "acquire()");
    assert_int_equal(acquired.released, 1);
}

static void test_what_is_unbound_stays(void **state) {
    bench_t *bench = *state;
    run_t run;
    start_acquiring(bench, &run, "acquire() op()");
    task_unbind(&acquired.bond);
    task_cancel(run.task);
    assert_int_equal(acquired.released, 0);
    await_finish(&driver.last->await);
}

static void test_done_may_start_another(void **state) {
    bench_t *bench = *state;
    static const task_ops_t ops = {on_done_starts_another, NULL, NULL};
    run_t run = {0};
    bool alive;
    task_options_t options = {.vm = bench->vm, .ops = &ops, .user = &run};
    task_start(&options, bench_push, (void *)"return 'first'", &alive);
    assert_false(alive);
    assert_string_equal(run.text, "second");
    assert_int_equal(bench->vm->children, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, driver_open, driver_close)
int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_results_and_arguments),
        CASE(test_push_that_raises_ends_the_task),
        CASE(test_error_carries_traceback_across_waits),
        CASE(test_error_tables_reach_the_owner),
        CASE(test_yield_outside_of_a_wait_is_an_error),
        CASE(test_coroutines_of_the_script_work),
        CASE(test_coroutine_is_reused_clean),
        CASE(test_coroutine_is_dropped_after_an_error_or_a_cancel),
        CASE(test_many_at_once),
        CASE(test_enter_and_leave_surround_each_resume),
        CASE(test_leave_breaks_the_task),
        CASE(test_waits_are_counted),
        CASE(test_cancel_from_inside),
        CASE(test_time_is_kept_per_role),
        CASE(test_what_is_bound_goes_with_the_outermost_task),
        CASE(test_what_is_unbound_stays),
        CASE(test_done_may_start_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
