/* test_postgres_dial.c: a program ends while the resolver of its database's name hangs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/resolver_rig.h"
#include "postgres/postgres.h"

static void test_the_end_while_a_resolver_hangs(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    char why[200];
    postgres_options_t options = {.url = "postgres://user@two.test/shop", .shared = 1};
    resolver_hang();
    postgres_t *postgres = postgres_new(loop, &options, why, sizeof why);
    assert_non_null(postgres);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 1);
    resolver_await(1);
    assert_false(postgres_up(postgres));
    loop_delete(loop);
    resolver_go_on();
    resolver_await(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_end_while_a_resolver_hangs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
