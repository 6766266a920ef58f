/* bench.h: a loop, a trusted VM and scripts given as text, for the tests of the Lua room. */
#ifndef PERIGEE_TEST_LUA_BENCH_H
#define PERIGEE_TEST_LUA_BENCH_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "lua/task.h"

typedef struct bench {
    loop_t *loop;
    vm_t *vm;
} bench_t;

/* What became of a script that ran as a task. */
typedef struct run {
    task_t *task; /* while it is alive */
    bool done;
    task_end_t end;
    int nresults;
    char text[4096]; /* the first result or the error, as text */
    char error_type[16];
} run_t;

static inline bool bench_loader(void *data, const char *module, vm_source_t *out) {
    (void)data;
    if (strcmp(module, "lib.greeting") == 0) {
        *out = (vm_source_t){"return {text = 'hello'}", 23, "@scripts/lib/greeting.lua"};
        return true;
    }
    if (strcmp(module, "lib.broken") == 0) {
        *out = (vm_source_t){"local x =", 9, "@scripts/lib/broken.lua"};
        return true;
    }
    return false;
}

static inline int bench_open(void **state) {
    bench_t *bench = calloc(1, sizeof *bench);
    bench->loop = loop_new();
    assert_non_null(bench->loop);
    bench->vm = vm_new_trusted(bench->loop, bench_loader, NULL);
    assert_non_null(bench->vm);
    /* A hungry collector: whatever is not anchored goes at once. */
    lua_gc(bench->vm->L, LUA_GCSETPAUSE, 1);
    lua_gc(bench->vm->L, LUA_GCSETSTEPMUL, 100000);
    *state = bench;
    return 0;
}

static inline int bench_close(void **state) {
    bench_t *bench = *state;
    vm_delete_trusted(bench->vm);
    loop_delete(bench->loop);
    free(bench);
    return 0;
}

static inline void bench_done(
    task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    run_t *run = task_user(task);
    assert_false(run->done);
    run->done = true;
    run->task = NULL;
    run->end = end;
    run->nresults = nresults;
    const char *text = error;
    if (end == TASK_OK && nresults > 0) text = lua_tostring(L, -nresults);
    if (end == TASK_ERROR && nresults > 0) {
        snprintf(run->error_type, sizeof run->error_type, "%s", luaL_typename(L, -1));
    }
    snprintf(run->text, sizeof run->text, "%s", text != NULL ? text : "");
}

static const task_ops_t bench_ops = {bench_done, NULL, NULL};

static inline int bench_push(lua_State *L, void *data) {
    const char *text = data;
    if (luaL_loadbufferx(L, text, strlen(text), "@test.lua", "t") != 0) lua_error(L);
    return 0;
}

static inline void bench_start(bench_t *bench, run_t *run, const char *text, uint64_t deadline_ms) {
    memset(run, 0, sizeof *run);
    task_options_t options = {.vm = bench->vm, .ops = &bench_ops, .user = run, .request_id = "r-1"};
    if (deadline_ms != 0) options.deadline_ms = loop_now(bench->loop) + deadline_ms;
    bool alive;
    task_t *task = task_start(&options, bench_push, (void *)text, &alive);
    assert_non_null(task);
    if (alive) run->task = task;
}

/* Turns the loop until the run is done; the test's own timeout is the only clock. */
static inline void bench_wait(bench_t *bench, run_t *run) {
    while (!run->done)
        loop_turn(bench->loop, 50);
}

static inline void bench_run(bench_t *bench, run_t *run, const char *text) {
    bench_start(bench, run, text, 0);
    bench_wait(bench, run);
}

/* The script must end well and return this text (numbers and strings only). */
static inline void bench_expect(bench_t *bench, const char *script, const char *text) {
    run_t run;
    bench_run(bench, &run, script);
    if (run.end != TASK_OK) print_error("%s\n", run.text);
    assert_int_equal(run.end, TASK_OK);
    assert_string_equal(run.text, text);
}

#endif
