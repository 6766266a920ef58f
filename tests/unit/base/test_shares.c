/* test_shares.c: the tenant with the fewest connections is served first, and none has more than its share. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/shares.h"

static void test_whose_turn(void **state) {
    (void)state;
    shares_t shares;
    list_t wanting[5];
    static const char *const NAMES[] = {"a", "a", "a", "b", "c"};
    shares_create(&shares, 2);
    for (int i = 0; i < 5; i++) {
        list_init(&wanting[i]);
        assert_int_equal(shares_wait(&shares, span_of(NAMES[i]), &wanting[i]), 0);
    }
    static const int ORDER[] = {0, 3, 4, 1}; /* each tenant once before anybody has two */
    for (int i = 0; i < 4; i++) {
        list_t *next = shares_next(&shares);
        assert_ptr_equal(next, &wanting[ORDER[i]]);
        shares_leave(&shares, span_of(NAMES[ORDER[i]]), next, true);
    }
    assert_null(shares_next(&shares)); /* a has its two */
    shares_return(&shares, SPAN("a"));
    assert_ptr_equal(shares_next(&shares), &wanting[2]);
    shares_leave(&shares, SPAN("a"), &wanting[2], true);
    shares_return(&shares, SPAN("a"));
    shares_return(&shares, SPAN("a"));
    shares_return(&shares, SPAN("b"));
    shares_return(&shares, SPAN("c"));
    assert_int_equal(shares.tenants.count, 0);
    shares_destroy(&shares);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
