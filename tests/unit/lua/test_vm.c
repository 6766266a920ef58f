/* test_vm.c: creating VMs with too little memory, protected calls, modules of an edition, and the interrupt of
   hot loops. */
#include "lua/bench.h"
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static void test_counts_every_byte(void **state) {
    bench_t *bench = *state;
    size_t before = bench->vm->used;
    uint64_t charged = bench->vm->charged;
    bench_expect(bench, "kept = ('x'):rep(100000) return 'ok'", "ok");
    assert_true(bench->vm->used >= before + 100000);
    assert_true(bench->vm->charged >= charged + 100000);
    bench_expect(bench, "kept = nil collectgarbage() collectgarbage() return 'ok'", "ok");
    assert_true(bench->vm->used < before + 100000);
}

static int close_over(lua_State *L) {
    (void)L;
    return 0;
}

/* 0, 1, 2 … allocations and no more: every creation fails cleanly until one is enough. */
static void test_survives_any_failed_allocation_bare(void **state) {
    (void)state;
    int err = ERR_NO_MEMORY;
    for (int64_t n = 0; err != 0; n++) {
        vm_t vm;
        vm_fail_next(n);
        err = vm_create(&vm, NULL, 0);
        vm_fail_next(-1);
        if (err == 0) {
            assert_int_equal(vm_protect(&vm, close_over, NULL, NULL, 0) == 0 ||
                                 vm_protect(&vm, close_over, NULL, NULL, 0) == ERR_NO_MEMORY,
                1);
            vm_destroy(&vm);
        }
        assert_true(n < 10000);
    }
}

static void test_survives_any_failed_allocation_trusted(void **state) {
    bench_t *bench = *state;
    vm_t *vm = NULL;
    for (int64_t n = 0; vm == NULL; n++) {
        vm_fail_next(n);
        vm = vm_new_trusted(bench->loop, bench_loader, NULL);
        vm_fail_next(-1);
        assert_true(n < 100000);
    }
    vm_delete_trusted(vm);
}

/* The first tasks, too: a task that cannot start says so or ends with TASK_NO_MEMORY, and the VM serves the
   next one. */
static void test_survives_any_failed_allocation_of_a_task(void **state) {
    bench_t *bench = *state;
    for (int64_t n = 0; n < 40; n++) {
        run_t run = {0};
        bool alive;
        task_options_t options = {.vm = bench->vm, .ops = &bench_ops, .user = &run};
        bench->vm->fail_after = n;
        task_t *task = task_start(&options, bench_push, "local t = {} return tostring(t)", &alive);
        bench->vm->fail_after = -1;
        assert_false(alive);
        assert_int_equal(task != NULL, run.done);
        /* The compiler's own failure is raised again by bench_push, as an error like any other. */
        if (run.done && run.end == TASK_ERROR)
            assert_non_null(strstr(run.text, "not enough memory"));
    }
    bench_expect(bench, "return 'ok'", "ok");
}

static void test_limit_ends_the_script_and_not_the_server(void **state) {
    bench_t *bench = *state;
    size_t limit = bench->vm->limit;
    bench->vm->limit = bench->vm->used + 1000000;
    run_t run;
    bench_run(bench, &run, "local t = {} for i = 1, 1e9 do t[i] = tostring(i) end");
    assert_int_equal(run.end, TASK_NO_MEMORY);
    bench->vm->limit = limit;
    bench_expect(bench, "return 'ok'", "ok");
}

static int raise_nested(lua_State *L) {
    const char *text = lua_touserdata(L, 1);
    if (luaL_loadbufferx(L, text, strlen(text), "@nested.lua", "t") != 0) return lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

static void test_protect_answers_the_traceback(void **state) {
    bench_t *bench = *state;
    char error[512];
    char script[] = "local function deep() error('lost') end\ndeep()";
    int top = lua_gettop(bench->vm->L);
    assert_int_equal(
        vm_protect(bench->vm, raise_nested, script, error, sizeof error), ERR_RULE_ERROR);
    assert_non_null(strstr(error, "nested.lua:1: lost"));
    assert_non_null(strstr(error, "nested.lua:2:"));
    assert_int_equal(lua_gettop(bench->vm->L), top);
}

static void test_protect_reads_error_tables_raw(void **state) {
    bench_t *bench = *state;
    char error[512];
    char looping[] = "error(setmetatable({}, {__tostring = function() while true do end end}))";
    char problem[] = "error({status = 409, detail = 'the cart has changed'})";
    assert_int_equal(
        vm_protect(bench->vm, raise_nested, looping, error, sizeof error), ERR_RULE_ERROR);
    assert_non_null(strstr(error, "(error object is a table value)"));
    assert_int_equal(
        vm_protect(bench->vm, raise_nested, problem, error, sizeof error), ERR_RULE_ERROR);
    assert_non_null(strstr(error, "the cart has changed"));
}

static void test_modules_come_from_the_edition(void **state) {
    bench_t *bench = *state;
    bench_expect(bench, "return require('lib.greeting').text", "hello");
    bench_expect(bench,
        "local ok, e = pcall(require, 'lib.none') return e:match('no module .- edition')",
        "no module 'lib.none' in the edition");
    bench_expect(bench,
        "local ok, e = pcall(require, 'lib.broken') return e:match('scripts/lib/broken.lua:1')",
        "scripts/lib/broken.lua:1");
    bench_expect(bench, "return package.path .. package.cpath .. #package.loaders", "2");
}

static void test_native_modules_are_loaded(void **state) {
    bench_t *bench = *state;
    bench_expect(bench,
        "for _, name in ipairs{'json', 'log', 'decimal', 'clock', 'ident'} do\n"
        "  assert(require(name) == _G[name] and type(_G[name]) == 'table', name)\n"
        "end return type(wait_all) .. type(sleep)",
        "functionfunction");
    bench_expect(bench, "return clock.iso(0)", "1970-01-01T00:00:00.000Z");
    bench_expect(bench, "return clock.parse('1970-01-01T00:00:01Z')", "1000");
    bench_expect(bench, "local v, text, name = clock.parse('soon') return tostring(v) .. name",
        "nilinvalid");
    bench_expect(
        bench, "return tostring(ident.is_uuid(ident.uuid())) .. #ident.token(16)", "true22");
    bench_expect(bench, "return ident.sha256('abc'):sub(1, 8)", "ba7816bf");
}

static void test_cjson_is_there(void **state) {
    bench_t *bench = *state;
    bench_expect(bench, "return require('cjson').encode({1, 2})", "[1,2]");
}

static void test_jit_compiles(void **state) {
    bench_t *bench = *state;
    bench_expect(bench, "return tostring(jit.status())", "true");
}

/* The interrupt */

static vm_t *interrupted_vm;

static void on_alarm(int signal) {
    (void)signal;
    vm_interrupt(interrupted_vm, "the handler held the loop for too long");
}

/* Rings once after 50 ms of the script's running, and goes on ringing: once may fall between two scripts. */
static timer_t ring(vm_t *vm) {
    struct sigaction action = {.sa_handler = on_alarm};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec when = {.it_value = {0, 50000000}, .it_interval = {0, 50000000}};
    timer_t timer;
    interrupted_vm = vm;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &when, NULL), 0);
    return timer;
}

static void expect_interrupted(bench_t *bench, const char *script) {
    run_t run;
    timer_t timer = ring(bench->vm);
    bench_run(bench, &run, script);
    timer_delete(timer);
    assert_int_equal(run.end, TASK_ERROR);
    assert_non_null(strstr(run.text, "the handler held the loop for too long"));
    assert_non_null(strstr(run.text, "test.lua:"));
    assert_null(lua_gethook(bench->vm->L));
    bench_expect(bench, "local n = 0 for i = 1, 100 do n = n + i end return n", "5050");
}

static void test_interrupt_ends_hot_loops(void **state) {
    bench_t *bench = *state;
    expect_interrupted(bench, "while true do end");
    expect_interrupted(bench, "local n = 0 while true do n = n + 1 end");
    expect_interrupted(bench, "local t = {} for i = 1, math.huge do t[i % 100] = i end");
    expect_interrupted(bench, "jit.off() while true do end");
    bench_expect(bench, "jit.on() return 'on'", "on");
    expect_interrupted(bench, "local function f() return f() end f()");
    expect_interrupted(bench, "while true do ('x'):rep(10):find('y') end");
}

static void test_interrupt_is_not_caught(void **state) {
    expect_interrupted(*state, "while true do pcall(function() while true do end end) end");
    expect_interrupted(*state, "local co = coroutine.wrap(function() while true do end end) co()");
}

static int interrupt_now(lua_State *L) {
    vm_interrupt(vm_of(L), "stop");
    return 0;
}

static int loop_for_ever(lua_State *L) {
    lua_pushcfunction(L, interrupt_now);
    lua_setglobal(L, "interrupt");
    return luaL_dostring(L, "interrupt() while true do end") != 0 ? lua_error(L) : 0;
}

static void test_interrupt_reaches_protected_calls(void **state) {
    bench_t *bench = *state;
    char error[256];
    assert_int_equal(
        vm_protect(bench->vm, loop_for_ever, NULL, error, sizeof error), ERR_RULE_ERROR);
    assert_non_null(strstr(error, "stop"));
}

static void test_interrupt_spares_the_next(void **state) {
    bench_t *bench = *state;
    assert_false(vm_interrupt(bench->vm, "nothing runs"));
    bench_expect(bench, "return 'ok'", "ok");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counts_every_byte, bench_open, bench_close),
        cmocka_unit_test(test_survives_any_failed_allocation_bare),
        cmocka_unit_test_setup_teardown(
            test_survives_any_failed_allocation_trusted, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(
            test_survives_any_failed_allocation_of_a_task, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(
            test_limit_ends_the_script_and_not_the_server, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(
            test_protect_answers_the_traceback, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(
            test_protect_reads_error_tables_raw, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(
            test_modules_come_from_the_edition, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(test_native_modules_are_loaded, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(test_cjson_is_there, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(test_jit_compiles, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(test_interrupt_ends_hot_loops, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(test_interrupt_is_not_caught, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(
            test_interrupt_reaches_protected_calls, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(test_interrupt_spares_the_next, bench_open, bench_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
