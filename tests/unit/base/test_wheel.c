/* test_wheel.c: deadlines against a plain list, at every distance the wheel knows, without a clock. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/wheel.h"

static uint64_t now;
static int fired;

static void on_deadline(deadline_t *deadline) {
    fired++;
    assert_false(deadline_armed(deadline));
    assert_true(now >= deadline->at_ms);
}

/* Moves the time from event to event as a loop's timer would, so that lateness is the wheel's own. */
static void run_until(wheel_t *wheel, uint64_t end) {
    while (wheel->armed) {
        uint64_t next = wheel_next_ms(wheel);
        if (next > end) break;
        assert_true(next > now);
        now = next;
        wheel_advance(wheel, now);
    }
    now = end;
    wheel_advance(wheel, now);
}

static void on_exact(deadline_t *deadline) {
    on_deadline(deadline);
    assert_true(now < deadline->at_ms + WHEEL_TICK_MS);
}

static void each_fires_within_a_tick_at_any_distance(void **state) {
    (void)state;
    const uint64_t far[] = {1, 9, 10, 11, 630, 640, 641, 6400, 40959, 40960, 40961, 50000, 2621439,
        2621440, 2621441, 9999999, 167772150, 167772160, 200000000, 900000000};
    for (uint64_t start = 0; start < 5000; start += 317) {
        for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
            wheel_t wheel;
            deadline_t deadline;
            now = start;
            fired = 0;
            wheel_create(&wheel, now);
            deadline_init(&deadline, on_exact);
            deadline.at_ms = start + far[i];
            wheel_add(&wheel, &deadline, now);
            run_until(&wheel, start + far[i] + WHEEL_TICK_MS);
            assert_int_equal(fired, 1);
            assert_true(wheel.armed == 0);
        }
    }
}

static void many_with_changes(void **state) {
    (void)state;
    static deadline_t deadlines[512];
    wheel_t wheel;
    uint32_t random = 99;
    uint64_t added = 0, cleared = 0;
    now = 123456;
    fired = 0;
    wheel_create(&wheel, now);
    for (size_t i = 0; i < 512; i++)
        deadline_init(&deadlines[i], on_exact);
    for (int step = 0; step < 50000; step++) {
        random = random * 1664525 + 1013904223;
        deadline_t *deadline = &deadlines[(random >> 10) % 512];
        if (deadline_armed(deadline)) {
            list_remove(&deadline->node);
            wheel.armed--;
            cleared++;
        }
        deadline->at_ms = now + 1 + (random >> 8) % (step % 7 ? 3000 : 5000000);
        wheel_add(&wheel, deadline, now);
        added++;
        if (step % 5 == 0) run_until(&wheel, now + (random >> 20) % 200);
    }
    run_until(&wheel, now + 6000000);
    assert_true(wheel.armed == 0);
    assert_true((uint64_t)fired + cleared == added);
}

static void a_past_deadline_fires_at_the_next_tick(void **state) {
    (void)state;
    wheel_t wheel;
    deadline_t deadline;
    now = 100000;
    fired = 0;
    wheel_create(&wheel, now);
    deadline_init(&deadline, on_deadline);
    deadline.at_ms = 5;
    wheel_add(&wheel, &deadline, now);
    assert_true(wheel_next_ms(&wheel) == now + WHEEL_TICK_MS);
    run_until(&wheel, now + WHEEL_TICK_MS);
    assert_int_equal(fired, 1);
}

static void a_late_turn_fires_all_in_order(void **state) {
    (void)state;
    static deadline_t deadlines[200];
    wheel_t wheel;
    now = 1000;
    fired = 0;
    wheel_create(&wheel, now);
    for (size_t i = 0; i < 200; i++) {
        deadline_init(&deadlines[i], on_deadline);
        deadlines[i].at_ms = now + i * 400;
        wheel_add(&wheel, &deadlines[i], now);
    }
    now += 200 * 400;
    wheel_advance(&wheel, now);
    assert_int_equal(fired, 200);
    assert_true(wheel.armed == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fires_within_a_tick_at_any_distance),
        cmocka_unit_test(many_with_changes),
        cmocka_unit_test(a_past_deadline_fires_at_the_next_tick),
        cmocka_unit_test(a_late_turn_fires_all_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
