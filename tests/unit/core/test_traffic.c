/* test_traffic.c: the handles of requests in flight, and the buffers of their answers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/err.h"
#include "traffic.h"
#include <math.h>
#include <stdlib.h>

static void a_request_is_found_until_it_leaves(void **state) {
    (void)state;
    traffic_t traffic;
    request_t one = {0}, two = {0};
    traffic_create(&traffic);
    assert_int_equal(traffic_enter(&traffic, &one), 0);
    assert_int_equal(traffic_enter(&traffic, &two), 0);
    assert_ptr_equal(traffic_find(&traffic, one.handle), &one);
    double old = one.handle;
    traffic_leave(&one);
    assert_null(traffic_find(&traffic, old));
    assert_int_equal(traffic_enter(&traffic, &one), 0);
    assert_true(one.handle != old);
    assert_null(traffic_find(&traffic, old));
    assert_ptr_equal(traffic_find(&traffic, one.handle), &one);
    assert_ptr_equal(traffic_find(&traffic, two.handle), &two);
    traffic_destroy(&traffic);
}

static void any_number_may_be_asked_for(void **state) {
    static const double NUMBERS[] = {
        -1, 0.5, 65535, 1e18, 1e300, -1e300, 4294967296.0 * 65536, INFINITY, NAN};
    (void)state;
    traffic_t traffic;
    request_t one = {0}, two = {0};
    traffic_create(&traffic);
    assert_null(traffic_find(&traffic, 0));
    assert_int_equal(traffic_enter(&traffic, &one), 0);
    traffic_leave(&one);
    assert_int_equal(traffic_enter(&traffic, &two), 0);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        assert_null(traffic_find(&traffic, NUMBERS[i]));
    traffic_destroy(&traffic);
}

static void at_most_65536_are_in_flight(void **state) {
    (void)state;
    traffic_t traffic;
    request_t *requests = calloc(65537, sizeof *requests);
    traffic_create(&traffic);
    for (int i = 0; i < 65536; i++)
        assert_int_equal(traffic_enter(&traffic, &requests[i]), 0);
    assert_int_equal(traffic_enter(&traffic, &requests[65536]), ERR_BUSY);
    traffic_leave(&requests[77]);
    assert_int_equal(traffic_enter(&traffic, &requests[65536]), 0);
    traffic_destroy(&traffic);
    free(requests);
}

static void one_large_answer_does_not_keep_its_memory(void **state) {
    (void)state;
    traffic_t traffic;
    traffic_create(&traffic);
    buf_text(traffic_body(&traffic), "small");
    assert_int_equal(traffic_body(&traffic)->len, 0);
    assert_true(traffic.body.cap > 0);
    assert_non_null(buf_reserve(&traffic.body, 1024 * 1024));
    assert_true(traffic_body(&traffic)->cap < 1024 * 1024);
    traffic_destroy(&traffic);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_found_until_it_leaves),
        cmocka_unit_test(any_number_may_be_asked_for),
        cmocka_unit_test(at_most_65536_are_in_flight),
        cmocka_unit_test(one_large_answer_does_not_keep_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
