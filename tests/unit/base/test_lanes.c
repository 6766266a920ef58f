/* test_lanes.c: a server's connections come back after they were lost, and what is heard of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/lanes.h"

static lanes_t lanes;
static int opened, closed, starved;

static void *open_one(lane_t *lane) {
    if (starved && starved--) return NULL;
    opened++;
    return lane;
}

static void close_one(void *link) {
    assert_ptr_equal(((lane_t *)link)->link, link);
    closed++;
}

static void begin(int count) {
    opened = closed = 0;
    lanes = (lanes_t){.loop = loop_new(), .count = count, .open = open_one, .close = close_one};
    assert_non_null(lanes.loop);
    lanes_open(&lanes);
}

static void end(void) {
    lanes_close(&lanes);
    loop_delete(lanes.loop);
}

static void await_opened(int count) {
    while (opened < count)
        loop_turn(lanes.loop, 20);
}

/* One that was lost is given one attempt before the server counts as down. */
static void test_lost_then_down_then_up(void **state) {
    (void)state;
    begin(1);
    lane_t *lane = &lanes.of[0];
    assert_int_equal(opened, 1);
    assert_true(lane_up(lane));
    assert_int_equal(lane_down(lane, "it went"), LANES_LOST);
    assert_false(lanes.failed);
    assert_null(lane->link);
    await_opened(2);
    assert_int_equal(lane_down(lane, "refused"), LANES_DOWN);
    assert_true(lanes.failed);
    assert_string_equal(lanes.fault, "refused");
    await_opened(3);
    assert_int_equal(lane_down(lane, "refused"), LANES_SAME);
    await_opened(4);
    assert_true(lane_up(lane));
    assert_false(lanes.failed);
    end();
    assert_int_equal(closed, 1);
}

static void test_the_others_stay(void **state) {
    (void)state;
    begin(3);
    assert_int_equal(opened, 3);
    assert_true(lane_up(&lanes.of[0]));
    assert_false(lane_up(&lanes.of[1]));
    assert_int_equal(lane_down(&lanes.of[2], "refused"), LANES_SAME);
    assert_int_equal(lane_down(&lanes.of[0], "it went"), LANES_SAME);
    assert_int_equal(lanes.up, 1);
    assert_false(lanes.failed);
    assert_int_equal(lane_down(&lanes.of[1], "it went"), LANES_LOST);
    await_opened(6);
    end();
    assert_int_equal(closed, 3);
}

static void test_without_memory(void **state) {
    (void)state;
    starved = 2;
    begin(1);
    assert_int_equal(opened, 0);
    await_opened(1);
    assert_int_equal(starved, 0);
    end();
}

static void test_retired(void **state) {
    (void)state;
    begin(3);
    lane_up(&lanes.of[0]);
    lane_down(&lanes.of[1], "refused"); /* it pauses */
    lanes_retire(&lanes);
    assert_int_equal(closed, 1); /* the one that was opening */
    assert_int_equal(lane_down(&lanes.of[0], "it went"), LANES_SAME);
    for (int i = 0; i < 3; i++)
        assert_false(deadline_armed(&lanes.of[i].retry));
    assert_int_equal(opened, 3);
    end();
    assert_int_equal(closed, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_then_down_then_up),
        cmocka_unit_test(test_the_others_stay),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_retired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
