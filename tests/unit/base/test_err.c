/* test_err.c: every error has a name of its own and a status, libuv codes too. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <uv.h>
#include "base/err.h"

static void names_find_their_error(void **state) {
    (void)state;
    for (int err = 0; err < ERR_COUNT; err++) {
        assert_int_equal(err_find(err_name(err)), err);
        assert_true(strlen(err_text(err)) > 0);
    }
    assert_int_equal(err_find("no such name"), ERR_INTERNAL);
    assert_string_equal(err_name(ERR_NOT_FOUND), "not_found");
    assert_int_equal(err_status(ERR_NOT_FOUND), 404);
    assert_int_equal(err_status(ERR_BUDGET_TIME), 422);
}

static void libuv_codes_have_names(void **state) {
    (void)state;
    assert_string_equal(err_name(UV_ECONNREFUSED), "econnrefused");
    assert_string_equal(err_text(UV_ECONNREFUSED), "connection refused");
    assert_int_equal(err_status(UV_ECONNREFUSED), 503);
}

static void unknown_codes_are_internal(void **state) {
    (void)state;
    assert_string_equal(err_name(ERR_COUNT), "internal");
    assert_int_equal(err_status(ERR_COUNT + 7), 500);
    assert_string_equal(err_name(-99999), "internal");
    assert_string_equal(err_text(-99999), err_text(ERR_INTERNAL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_find_their_error),
        cmocka_unit_test(libuv_codes_have_names),
        cmocka_unit_test(unknown_codes_are_internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
