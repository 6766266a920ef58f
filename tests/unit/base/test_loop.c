/* test_loop.c: deadlines, deferred work, posts of threads, and a loop that ends when nothing is left. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/loop.h"

static char order[64];

static void note(char letter) {
    size_t len = strlen(order);
    order[len] = letter;
    order[len + 1] = '\0';
}

static int open_loop(void **state) {
    order[0] = '\0';
    *state = loop_new();
    return *state ? 0 : -1;
}

static int close_loop(void **state) {
    loop_delete(*state);
    return 0;
}

static void an_empty_loop_ends(void **state) {
    loop_run(*state);
    assert_false(uv_loop_alive(loop_uv(*state)));
}

typedef struct alarm {
    deadline_t deadline;
    loop_t *loop;
    uint64_t fired_at;
    int times, again;
} alarm_t;

static void on_alarm(deadline_t *deadline) {
    alarm_t *alarm = LIST_OWNER(deadline, alarm_t, deadline);
    alarm->fired_at = loop_now(alarm->loop);
    alarm->times++;
    if (alarm->again-- > 0) deadline_set(alarm->loop, deadline, loop_now(alarm->loop));
}

static void a_deadline_keeps_the_loop_until_it_fires(void **state) {
    alarm_t alarm = {.loop = *state};
    deadline_init(&alarm.deadline, on_alarm);
    uint64_t at = loop_now(*state) + 25;
    deadline_set(*state, &alarm.deadline, at);
    assert_true(deadline_armed(&alarm.deadline));
    loop_run(*state);
    assert_int_equal(alarm.times, 1);
    assert_true(alarm.fired_at >= at);
    assert_false(deadline_armed(&alarm.deadline));
}

static void a_cleared_deadline_lets_the_loop_end(void **state) {
    alarm_t alarm = {.loop = *state};
    deadline_init(&alarm.deadline, on_alarm);
    deadline_clear(&alarm.deadline);
    deadline_set(*state, &alarm.deadline, loop_now(*state) + 3600000);
    deadline_clear(&alarm.deadline);
    loop_run(*state); /* would take an hour */
    assert_int_equal(alarm.times, 0);
}

static void a_deadline_moves_both_ways(void **state) {
    alarm_t alarm = {.loop = *state};
    deadline_init(&alarm.deadline, on_alarm);
    deadline_set(*state, &alarm.deadline, loop_now(*state) + 3600000);
    deadline_set(*state, &alarm.deadline, loop_now(*state) + 5);
    uint64_t at = loop_now(*state) + 40;
    deadline_set(*state, &alarm.deadline, at);
    loop_run(*state);
    assert_int_equal(alarm.times, 1);
    assert_true(alarm.fired_at >= at);
}

static void a_callback_sets_its_deadline_again(void **state) {
    alarm_t alarm = {.loop = *state, .again = 3};
    deadline_init(&alarm.deadline, on_alarm);
    deadline_set(*state, &alarm.deadline, 0);
    assert_int_equal(alarm.times, 0); /* never inside the call, even when it is in the past */
    loop_run(*state);
    assert_int_equal(alarm.times, 4);
}

static alarm_t *victim;
static void clear_victim(deadline_t *deadline) {
    (void)deadline;
    deadline_clear(&victim->deadline);
}

static void a_callback_clears_one_that_is_due_too(void **state) {
    alarm_t alarm = {.loop = *state};
    deadline_t first;
    victim = &alarm;
    deadline_init(&first, clear_victim);
    deadline_init(&alarm.deadline, on_alarm);
    deadline_set(*state, &first, loop_now(*state) + 1);
    deadline_set(*state, &alarm.deadline, first.at_ms);
    loop_run(*state);
    assert_int_equal(alarm.times, 0);
}

typedef struct later {
    deferred_t deferred;
    loop_t *loop;
    char letter;
    int again;
} later_t;

static void on_later(deferred_t *deferred) {
    later_t *later = LIST_OWNER(deferred, later_t, deferred);
    note(later->letter);
    if (later->again-- > 0) loop_defer(later->loop, deferred);
}

static void deferred_work_runs_in_turns(void **state) {
    later_t a = {.loop = *state, .letter = 'a', .again = 1}, b = {.loop = *state, .letter = 'b'};
    deferred_init(&a.deferred, on_later);
    deferred_init(&b.deferred, on_later);
    loop_defer(*state, &a.deferred);
    loop_defer(*state, &b.deferred);
    loop_defer(*state, &b.deferred); /* twice is once */
    assert_string_equal(order, "");
    loop_turn(*state, 0);
    assert_string_equal(order, "ab");
    loop_turn(*state, 0);
    assert_string_equal(order, "aba");
    loop_run(*state);
    assert_string_equal(order, "aba");
}

static void deferred_work_does_not_wait_for_the_poll(void **state) {
    later_t a = {.loop = *state, .letter = 'a'};
    alarm_t alarm = {.loop = *state};
    deadline_init(&alarm.deadline, on_alarm);
    deadline_set(*state, &alarm.deadline, loop_now(*state) + 3600000);
    deferred_init(&a.deferred, on_later);
    loop_defer(*state, &a.deferred);
    loop_turn(*state, 3600000);
    assert_string_equal(order, "a");
    deadline_clear(&alarm.deadline);
}

static void cleared_deferred_work_does_not_run(void **state) {
    later_t a = {.loop = *state, .letter = 'a'};
    deferred_init(&a.deferred, on_later);
    loop_defer(*state, &a.deferred);
    deferred_clear(&a.deferred);
    loop_run(*state);
    assert_string_equal(order, "");
}

#define POSTS 1000
typedef struct message {
    posted_t posted;
    loop_t *loop;
    int number;
} message_t;

static int expected;
static void on_message(posted_t *posted) {
    message_t *message = LIST_OWNER(posted, message_t, posted);
    assert_int_equal(message->number, expected);
    if (++expected == POSTS) loop_release(message->loop);
}

static void post_all(void *data) {
    message_t *messages = data;
    for (int i = 0; i < POSTS; i++)
        loop_post(messages->loop, &messages[i].posted);
}

static void posts_arrive_in_order_and_a_hold_waits_for_them(void **state) {
    static message_t messages[POSTS];
    uv_thread_t thread;
    expected = 0;
    for (int i = 0; i < POSTS; i++)
        messages[i] = (message_t){{.cb = on_message}, *state, i};
    loop_hold(*state);
    assert_int_equal(uv_thread_create(&thread, post_all, messages), 0);
    loop_run(*state);
    assert_int_equal(expected, POSTS);
    uv_thread_join(&thread);
}

static void on_closed(uv_handle_t *handle) {
    note(*(char *)handle->data);
}

static void close_handle(void *data) {
    uv_close(data, on_closed);
}

static void note_exit(void *data) {
    note(*(char *)data);
}

static void exits_run_newest_first_and_handles_close_after(void **state) {
    (void)state;
    order[0] = '\0';
    loop_t *loop = loop_new();
    uv_timer_t timer;
    assert_int_equal(uv_timer_init(loop_uv(loop), &timer), 0);
    timer.data = "t";
    assert_int_equal(loop_exit_add(loop, close_handle, &timer), 0);
    assert_int_equal(loop_exit_add(loop, note_exit, "a"), 0);
    assert_int_equal(loop_exit_add(loop, note_exit, "b"), 0);
    loop_delete(loop);
    assert_string_equal(order, "bat");
}

static void stop_it(deferred_t *deferred) {
    later_t *later = LIST_OWNER(deferred, later_t, deferred);
    loop_stop(later->loop);
}

static void stop_ends_a_busy_loop(void **state) {
    alarm_t alarm = {.loop = *state};
    later_t stop = {.loop = *state};
    deadline_init(&alarm.deadline, on_alarm);
    deadline_set(*state, &alarm.deadline, loop_now(*state) + 3600000);
    deferred_init(&stop.deferred, stop_it);
    loop_defer(*state, &stop.deferred);
    loop_run(*state);
    assert_true(deadline_armed(&alarm.deadline));
    deadline_clear(&alarm.deadline);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_loop_ends, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(
            a_deadline_keeps_the_loop_until_it_fires, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(
            a_cleared_deadline_lets_the_loop_end, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_deadline_moves_both_ways, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_callback_sets_its_deadline_again, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(
            a_callback_clears_one_that_is_due_too, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(deferred_work_runs_in_turns, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(
            deferred_work_does_not_wait_for_the_poll, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(cleared_deferred_work_does_not_run, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(
            posts_arrive_in_order_and_a_hold_waits_for_them, open_loop, close_loop),
        cmocka_unit_test(exits_run_newest_first_and_handles_close_after),
        cmocka_unit_test_setup_teardown(stop_ends_a_busy_loop, open_loop, close_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
