/* test_signal.c: a signal wakes all who wait for it, once, and forgets those who have gone. */
#include "lua/bench.h"
#include "lua/signal.h"

static int open_module(lua_State *L) {
    lua_pushcfunction(L, luaopen_signal);
    lua_call(L, 0, 1);
    lua_setglobal(L, "signal");
    return 0;
}

static int open_bench(void **state) {
    bench_open(state);
    return vm_protect(((bench_t *)*state)->vm, open_module, NULL, NULL, 0);
}

static void all_who_wait_are_woken(void **state) {
    bench_expect(*state,
        "local s, woken = signal.new(), 0\n"
        "local function waits() assert(s:wait(3600000) == true) woken = woken + 1 end\n"
        "for _, r in ipairs(wait_all { waits, waits, waits, function()\n"
        "  s:fire() assert(woken == 0) return true end }) do assert(r.ok, r.error) end\n"
        "return woken",
        "3");
}

static void a_wait_ends_at_its_time(void **state) {
    bench_expect(*state,
        "local s = signal.new() s:fire()\n"
        "local ok, text, name = s:wait(1)\n"
        "s:fire()\n"
        "return tostring(ok) .. name",
        "niltimeout");
}

static void who_was_cancelled_is_forgotten(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "s = signal.new() s:wait(3600000)", 0);
    assert_non_null(run.task);
    task_cancel(run.task);
    assert_int_equal(run.end, TASK_CANCELLED);
    bench_expect(bench, "s:fire() return 'fine'", "fine");
}

/* A call that waits is all that knows the signal, and does not keep it alive. */
static void a_signal_may_go_before_who_waits(void **state) {
    bench_t *bench = *state;
    run_t run;
    bench_start(bench, &run, "signal.new():wait(3600000)", 0);
    assert_non_null(run.task);
    bench_expect(bench, "collectgarbage() collectgarbage() return 'fine'", "fine");
    task_cancel(run.task);
    assert_int_equal(run.end, TASK_CANCELLED);
}

static void wrong_arguments_are_raised(void **state) {
    bench_expect(*state,
        "local s = signal.new()\n"
        "return tostring(pcall(s.wait, s, 0)) .. tostring(pcall(s.wait, s)) .. "
        "tostring(pcall(s.fire, {}))",
        "falsefalsefalse");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_who_wait_are_woken, open_bench, bench_close),
        cmocka_unit_test_setup_teardown(a_wait_ends_at_its_time, open_bench, bench_close),
        cmocka_unit_test_setup_teardown(who_was_cancelled_is_forgotten, open_bench, bench_close),
        cmocka_unit_test_setup_teardown(a_signal_may_go_before_who_waits, open_bench, bench_close),
        cmocka_unit_test_setup_teardown(wrong_arguments_are_raised, open_bench, bench_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
