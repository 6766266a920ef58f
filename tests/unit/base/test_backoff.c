/* test_backoff.c: pauses before the next attempt grow, have a bound, differ, and begin anew after a good connection. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include "base/backoff.h"

#define FIRST_MS 25

static void assert_pause(backoff_t *backoff, uint64_t now, uint64_t most) {
    uint64_t pause = backoff_next(backoff, now);
    assert_in_range(pause, most / 2, most);
}

static void test_growth(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        backoff_t backoff = {0};
        uint64_t most = FIRST_MS;
        for (int i = 0; i < 40; i++) {
            assert_pause(&backoff, 1000, most);
            most = most * 2 < BACKOFF_MAX_MS ? most * 2 : BACKOFF_MAX_MS;
        }
    }
}

/* Of many that lost the same server at once, no more than a few come back in the same millisecond. */
static void test_spread(void **state) {
    (void)state;
    enum { CLIENTS = 1000, MOST = 40 };
    int at[BACKOFF_MAX_MS + 1] = {0};
    for (int i = 0; i < CLIENTS; i++) {
        backoff_t backoff = {.failures = 10};
        at[backoff_next(&backoff, 1000)]++;
    }
    for (int ms = 0; ms <= BACKOFF_MAX_MS; ms++)
        assert_true(at[ms] < MOST);
}

static void test_success(void **state) {
    (void)state;
    backoff_t backoff = {.failures = 10};
    backoff_up(&backoff, 5000);
    assert_pause(&backoff, 5100, BACKOFF_MAX_MS); /* it did not last */
    backoff_up(&backoff, 10000);
    assert_pause(&backoff, 11000, FIRST_MS);
    assert_pause(&backoff, 11000, 2 * FIRST_MS);
    assert_pause(&backoff, 90000, 4 * FIRST_MS); /* time alone is no success */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_growth), cmocka_unit_test(test_spread),
        cmocka_unit_test(test_success)};
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
