/* test_rate.c: rates as people write them, and buckets beside a model that drains them drop by drop. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/err.h"
#include "base/rate.h"

static char why[300];

static rate_limit_t read_rate(const char *text) {
    rate_limit_t rate;
    assert_int_equal(rate_read(span_of(text), &rate, why, sizeof why), 0);
    return rate;
}

static void rates_as_people_write_them(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t count, period_s, burst;
    } CASES[] = {{"600/60s", 600, 60, 600}, {" 600 / 1m ", 600, 60, 600},
        {"20/1h burst 5", 20, 3600, 5}, {"1/366d", 1, 366 * 86400, 1},
        {"100/1s burst 1000", 100, 1, 1000}, {"off", 0, 0, 0}, {"", 0, 0, 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        rate_limit_t rate = read_rate(CASES[i].text);
        assert_int_equal(rate.count, CASES[i].count);
        assert_int_equal(rate.period_s, CASES[i].period_s);
        assert_int_equal(rate.burst, CASES[i].burst);
    }
}

static void what_is_no_rate_is_refused(void **state) {
    (void)state;
    static const char *const CASES[] = {"600", "600/60", "600/s", "0/60s", "600/0s", "-1/60s",
        "600/60s burst", "600/60s burst 0", "600/60s bursts 3", "600/60s burst 3 more",
        "600/60s,20/1s", "1/367d", "1000001/1s", "1/1d burst 367", "99999999999999999999/1s",
        "600/99999999999999999999d", "600/60w"};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        rate_limit_t rate;
        if (rate_read(span_of(CASES[i]), &rate, why, sizeof why) != ERR_INVALID)
            fail_msg("\"%s\" was taken for a rate", CASES[i]);
        assert_int_equal(rate.count, 0);
        assert_non_null(strstr(why, CASES[i]));
    }
}

/* The bucket as the textbook has it: a level that loses one drop a microsecond. */
typedef struct model {
    uint64_t level, at_us;
} model_t;

static bool model_take(model_t *model, uint64_t now_us, uint64_t interval, uint64_t capacity) {
    for (; model->at_us < now_us; model->at_us++)
        if (model->level > 0) model->level--;
    if (model->level + interval > capacity) return false;
    model->level += interval;
    return true;
}

static void a_bucket_agrees_with_the_model(void **state) {
    (void)state;
    for (unsigned seed = 1; seed <= 200; seed++) {
        srand(seed);
        uint64_t interval = 1 + (uint64_t)rand() % 40, burst = 1 + (uint64_t)rand() % 8;
        uint64_t capacity = interval * burst, now = 1000, full = 0;
        model_t model = {.at_us = now};
        for (int i = 0; i < 400; i++) {
            now += (uint64_t)rand() % (2 * interval);
            if (rand() % 50 == 0) now += capacity;
            bool allowed = model_take(&model, now, interval, capacity);
            int64_t ahead = rate_take(&full, now, interval, capacity);
            if ((ahead > 0) != allowed || (uint64_t)llabs(ahead) != model.level)
                fail_msg("seed %u, step %d: %lld, and the model's level is %llu", seed, i,
                    (long long)ahead, (unsigned long long)model.level);
        }
    }
}

static void what_is_told_comes_true(void **state) {
    (void)state;
    rate_limit_t rate = read_rate("7/60s burst 3");
    uint64_t now = 5000000, full = 0, interval = rate_interval_us(&rate),
             capacity = rate_capacity_us(&rate);
    for (uint64_t left = 3; left-- > 0;) {
        rate_state_t told = rate_tell(&rate, rate_take(&full, now, interval, capacity));
        assert_true(told.allowed);
        assert_int_equal(told.remaining, left);
    }
    rate_state_t told = rate_tell(&rate, rate_take(&full, now, interval, capacity));
    assert_false(told.allowed);
    assert_int_equal(told.remaining, 0);
    assert_int_equal(told.reset_s, 9); /* 60 / 7, rounded up */
    uint64_t early = now + (told.reset_s - 1) * 1000000;
    assert_true(rate_take(&full, early, interval, capacity) < 0);
    assert_true(rate_take(&full, now + told.reset_s * 1000000, interval, capacity) > 0);
}

static void never_more_than_allowed_in_the_long_run(void **state) {
    (void)state;
    rate_limit_t rate = read_rate("7/1s");
    uint64_t full = 0, passed = 0;
    for (uint64_t now = 1; now <= 100 * UINT64_C(1000000); now += 1000)
        passed += rate_take(&full, now, rate_interval_us(&rate), rate_capacity_us(&rate)) > 0;
    assert_in_range(passed, 7 * 99, 7 * 100 + 7);
}

static void a_smaller_limit_counts_at_once(void **state) {
    (void)state;
    uint64_t full = 0, now = 1000;
    assert_true(rate_take(&full, now, 500000, 500000) > 0);
    assert_int_equal(rate_take(&full, now, 100, 300), -300);
    assert_int_equal(full, now + 300);
    assert_int_equal(rate_take(&full, now + 100, 100, 300), 300);
}

static void headers_are_the_drafts(void **state) {
    (void)state;
    buf_t out;
    buf_create(&out);
    rate_limit_t rate = read_rate("600/60s");
    rate_put_policy(&out, &rate);
    rate_put_state(&out, &rate, &(rate_state_t){true, 599, 1});
    assert_true(span_eq(buf_view(&out),
        SPAN("RateLimit-Policy: \"default\";q=600;w=60\r\nRateLimit: \"default\";r=599;t=1\r\n")));
    buf_reset(&out);
    rate = read_rate("600/60s burst 100");
    rate_put_policy(&out, &rate);
    rate_put_state(&out, &rate, &(rate_state_t){false, 0, 1});
    assert_true(span_eq(
        buf_view(&out), SPAN("RateLimit-Policy: \"default\";q=600;w=60, \"burst\";q=100;w=10\r\n"
                             "RateLimit: \"burst\";r=0;t=1\r\n")));
    buf_destroy(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_as_people_write_them),
        cmocka_unit_test(what_is_no_rate_is_refused),
        cmocka_unit_test(a_bucket_agrees_with_the_model),
        cmocka_unit_test(what_is_told_comes_true),
        cmocka_unit_test(never_more_than_allowed_in_the_long_run),
        cmocka_unit_test(a_smaller_limit_counts_at_once),
        cmocka_unit_test(headers_are_the_drafts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
