/* test_number.c: a double's text is short, and reads back as the same double. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/number.h"
#include <float.h>
#include <stdlib.h>

static void the_shortest_text_that_is_enough(void **state) {
    static const struct {
        double number;
        const char *text;
    } CASES[] = {{0, "0"}, {-7, "-7"}, {0.1, "0.1"}, {29.99, "29.99"},
        {1.0 / 3, "0.3333333333333333"}, {9007199254740992.0, "9007199254740992"},
        {-9007199254740992.0, "-9007199254740992"}, {18014398509481984.0, "18014398509481984"},
        {5e-324, "4.94065645841247e-324"}};
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char text[NUMBER_TEXT];
        buf_t out;
        number_text(CASES[i].number, text);
        assert_string_equal(text, CASES[i].text);
        buf_create(&out);
        number_put(&out, CASES[i].number);
        assert_int_equal(out.len, strlen(text));
        assert_memory_equal(out.ptr, text, out.len);
        buf_destroy(&out);
    }
}

static void every_number_reads_back(void **state) {
    static const double NUMBERS[] = {DBL_MAX, -DBL_MAX, DBL_MIN, DBL_EPSILON, 1 + DBL_EPSILON,
        2.0 / 3, 9007199254740994.0, 123456789.123456789, -1e-7};
    (void)state;
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        char text[NUMBER_TEXT];
        number_text(NUMBERS[i], text);
        assert_true(strtod(text, NULL) == NUMBERS[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shortest_text_that_is_enough),
        cmocka_unit_test(every_number_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
