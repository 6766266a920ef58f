/* test_threads.c: work is done once, on the loop, whether it ran, was dropped or the pool closed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/err.h"
#include "base/threads.h"

typedef struct job {
    work_t work;
    int ran, done;
    bool skipped;
    void *own;
} job_t;

/* Jobs that block wait here, so that a test decides when a thread is free. */
static uv_sem_t started, gate;

static void run_job(work_t *work, void *own) {
    job_t *job = LIST_OWNER(work, job_t, work);
    job->ran++;
    job->own = own;
}

static void run_blocked(work_t *work, void *own) {
    uv_sem_post(&started);
    uv_sem_wait(&gate);
    run_job(work, own);
}

static void done_job(work_t *work) {
    job_t *job = LIST_OWNER(work, job_t, work);
    job->done++;
    job->skipped = work->skipped;
}

static job_t job_of(void (*run)(work_t *, void *)) {
    return (job_t){.work = {.run = run, .done = done_job}};
}

static int open_loop(void **state) {
    uv_sem_init(&started, 0);
    uv_sem_init(&gate, 0);
    *state = loop_new();
    return *state ? 0 : -1;
}

static int close_loop(void **state) {
    loop_delete(*state);
    uv_sem_destroy(&started);
    uv_sem_destroy(&gate);
    return 0;
}

static threads_t *open_pool(loop_t *loop, int count, size_t bound) {
    threads_options_t options = {.loop = loop, .count = count, .bound = bound, .name = "test"};
    threads_t *threads = threads_new(&options);
    assert_non_null(threads);
    return threads;
}

static void all_work_is_done_once(void **state) {
    static job_t jobs[500];
    threads_t *threads = open_pool(*state, 4, 500);
    for (int i = 0; i < 500; i++) {
        jobs[i] = job_of(run_job);
        assert_int_equal(threads_submit(threads, &jobs[i].work), 0);
    }
    loop_run(*state); /* submitted work keeps the loop alive */
    for (int i = 0; i < 500; i++) {
        assert_int_equal(jobs[i].ran, 1);
        assert_int_equal(jobs[i].done, 1);
        assert_false(jobs[i].skipped);
    }
    threads_delete(threads);
}

static void the_queue_has_a_bound(void **state) {
    threads_t *threads = open_pool(*state, 1, 2);
    job_t blocked = job_of(run_blocked),
          jobs[3] = {job_of(run_job), job_of(run_job), job_of(run_job)};
    assert_int_equal(threads_submit(threads, &blocked.work), 0);
    uv_sem_wait(&started);
    assert_int_equal(threads_submit(threads, &jobs[0].work), 0);
    assert_int_equal(threads_submit(threads, &jobs[1].work), 0);
    assert_int_equal(threads_submit(threads, &jobs[2].work), ERR_BUSY);
    uv_sem_post(&gate);
    loop_run(*state);
    assert_int_equal(blocked.done + jobs[0].done + jobs[1].done, 3);
    assert_int_equal(jobs[2].done, 0);
    threads_delete(threads);
}

static void waiting_work_can_be_dropped(void **state) {
    threads_t *threads = open_pool(*state, 1, 2);
    job_t blocked = job_of(run_blocked), job = job_of(run_job);
    assert_int_equal(threads_submit(threads, &blocked.work), 0);
    uv_sem_wait(&started);
    assert_int_equal(threads_submit(threads, &job.work), 0);
    assert_false(threads_drop(threads, &blocked.work)); /* it runs already */
    assert_true(threads_drop(threads, &job.work));
    assert_false(threads_drop(threads, &job.work));
    assert_int_equal(job.done, 0); /* never inside the call */
    uv_sem_post(&gate);
    loop_run(*state);
    assert_int_equal(job.ran, 0);
    assert_int_equal(job.done, 1);
    assert_true(job.skipped);
    assert_int_equal(blocked.done, 1);
    threads_delete(threads);
}

static void delete_delivers_everything(void **state) {
    threads_t *threads = open_pool(*state, 1, 2);
    job_t blocked = job_of(run_blocked), job = job_of(run_job);
    assert_int_equal(threads_submit(threads, &blocked.work), 0);
    uv_sem_wait(&started);
    assert_int_equal(threads_submit(threads, &job.work), 0);
    uv_sem_post(&gate);
    threads_delete(threads);
    assert_int_equal(blocked.ran, 1);
    assert_int_equal(blocked.done, 1);
    assert_int_equal(job.done, 1);
    assert_true(job.skipped == (job.ran == 0));
    loop_run(*state); /* and nothing holds the loop */
}

static void *enter(void *data) {
    return data;
}
static int left;
static void leave(void *own) {
    left += own == &left;
}

static void threads_have_their_own_data(void **state) {
    left = 0;
    threads_options_t options = {.loop = *state,
        .count = 1,
        .bound = 1,
        .name = "a name too long for one",
        .enter = enter,
        .leave = leave,
        .data = &left};
    threads_t *threads = threads_new(&options);
    job_t job = job_of(run_job);
    assert_int_equal(threads_submit(threads, &job.work), 0);
    loop_run(*state);
    assert_ptr_equal(job.own, &left);
    threads_delete(threads);
    assert_int_equal(left, 1);
}

static void close_pool(void *data) {
    threads_delete(data);
}

static void a_pool_may_close_with_the_loop(void **state) {
    (void)state;
    static job_t jobs[50];
    loop_t *loop = loop_new();
    threads_t *threads = open_pool(loop, 2, 50);
    assert_int_equal(loop_exit_add(loop, close_pool, threads), 0);
    for (int i = 0; i < 50; i++) {
        jobs[i] = job_of(run_job);
        assert_int_equal(threads_submit(threads, &jobs[i].work), 0);
    }
    loop_delete(loop);
    for (int i = 0; i < 50; i++)
        assert_int_equal(jobs[i].done, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_work_is_done_once, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(the_queue_has_a_bound, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(waiting_work_can_be_dropped, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(delete_delivers_everything, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(threads_have_their_own_data, open_loop, close_loop),
        cmocka_unit_test(a_pool_may_close_with_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
