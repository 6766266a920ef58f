/* test_said.c: a complaint is said once, another reason too, but they do not take turns in the log. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/said.h"

static void test_once_per_reason(void **state) {
    (void)state;
    said_t said = {0};
    assert_true(said_is_news(&said, "refused", 100));
    assert_false(said_is_news(&said, "refused", 200));
    assert_false(said_is_news(&said, "refused", 900000));
    assert_true(said_is_news(&said, "wrong password", 900001));
    assert_false(said_is_news(&said, "wrong password", 1000000));
    said_forget(&said);
    assert_true(said_is_news(&said, "wrong password", 1000001));
}

static void test_two_that_take_turns(void **state) {
    (void)state;
    said_t said = {0};
    int news = 0;
    for (uint64_t now = 0; now < 60000; now += 500)
        news += said_is_news(&said, now % 1000 ? "one" : "two", now);
    assert_in_range(news, 2, 6);
}

static void test_a_long_reason(void **state) {
    (void)state;
    said_t said = {0};
    char text[400];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(said_is_news(&said, text, 0));
    assert_false(said_is_news(&said, text, 100000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_per_reason),
        cmocka_unit_test(test_two_that_take_turns),
        cmocka_unit_test(test_a_long_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
