/* test_sqlite_edit_distance.c: typing mistakes are counted in letters, swaps once, and the bound holds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "sqlite/edit_distance.h"

static int between(const char *a, const char *b, int most) {
    int there = edit_distance(span_of(a), span_of(b), most);
    assert_int_equal(there, edit_distance(span_of(b), span_of(a), most));
    return there;
}

static void counts_each_kind_of_mistake(void **state) {
    (void)state;
    assert_int_equal(between("mouse", "mouse", 2), 0);
    assert_int_equal(between("mouse", "mose", 2), 1);
    assert_int_equal(between("mouse", "mousse", 2), 1);
    assert_int_equal(between("mouse", "moise", 2), 1);
    assert_int_equal(between("mouse", "muose", 2), 1);
    assert_int_equal(between("keyboard", "kyebaord", 2), 2);
    assert_int_equal(between("", "ab", 2), 2);
    assert_int_equal(between("", "", 0), 0);
}

static void counts_letters_not_bytes(void **state) {
    (void)state;
    assert_int_equal(between("größe", "grose", 2), 2);
    assert_int_equal(between("日本語", "日本", 2), 1);
}

static void stops_at_the_bound(void **state) {
    (void)state;
    assert_int_equal(between("keyboard", "mouse", 2), 3);
    assert_int_equal(between("abcdef", "fedcba", 2), 3);
    assert_int_equal(between("ab", "abcdef", 1), 2);
}

static void refuses_what_is_no_word(void **state) {
    char text[EDIT_DISTANCE_LETTERS + 2];
    (void)state;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(between(text, text, 2), 3);
    text[EDIT_DISTANCE_LETTERS] = '\0';
    assert_int_equal(between(text, text, 2), 0);
    assert_int_equal(between("\xff\xfe", "ab", 2), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_each_kind_of_mistake),
        cmocka_unit_test(counts_letters_not_bytes), cmocka_unit_test(stops_at_the_bound),
        cmocka_unit_test(refuses_what_is_no_word)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
