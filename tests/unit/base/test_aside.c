/* test_aside.c: calls that block beside the loop; one that hangs holds up nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/aside.h"
#include "base/clock.h"

typedef struct call {
    uv_sem_t go, gone;
    int ran, done;
} call_t;

static void run(void *data) {
    call_t *call = data;
    uv_sem_wait(&call->go);
    call->ran++;
}

static void done(void *data) {
    ((call_t *)data)->done++;
}

static void discard(void *data) {
    uv_sem_post(&((call_t *)data)->gone);
}

static aside_t *start(loop_t *loop, call_t *call) {
    aside_t *aside;
    aside_options_t options = {
        .loop = loop, .name = "test", .run = run, .done = done, .discard = discard, .data = call};
    *call = (call_t){0};
    uv_sem_init(&call->go, 0);
    uv_sem_init(&call->gone, 0);
    assert_int_equal(aside_start(&aside, &options), 0);
    return aside;
}

static void end(call_t *call) {
    uv_sem_wait(&call->gone);
    uv_sem_destroy(&call->go);
    uv_sem_destroy(&call->gone);
}

static void test_done(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    call_t call;
    start(loop, &call);
    uv_sem_post(&call.go);
    loop_run(loop); /* it keeps the loop alive, and nothing else does */
    assert_int_equal(call.done, 1);
    assert_int_equal(call.ran, 1);
    end(&call);
    loop_delete(loop);
}

static void test_one_that_hangs(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    call_t call;
    aside_t *aside = start(loop, &call);
    aside_stop(aside);
    loop_delete(loop);
    uv_sem_post(&call.go);
    end(&call);
    assert_int_equal(call.done, 0);
}

static void test_waited_for(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    call_t call;
    aside_t *aside = start(loop, &call);
    assert_false(aside_wait(aside, clock_mono_ns())); /* it hangs */
    uv_sem_post(&call.go);
    assert_true(aside_wait(aside, clock_mono_ns() + 60000000000u));
    assert_int_equal(call.ran, 1);
    aside_stop(aside);
    loop_delete(loop);
    end(&call);
    assert_int_equal(call.done, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done),
        cmocka_unit_test(test_one_that_hangs),
        cmocka_unit_test(test_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
