/* test_postgres_dial.c: a name's addresses are tried in turn; a program ends while the resolver of its database's name
   hangs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/resolver_rig.h"
#include "postgres_fake.h"

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

/* Somebody listens at the first address and never says a word. */
static void test_a_silent_address(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    ask_t ask;
    char url[100];
    int silent = socket(AF_INET, SOCK_STREAM, 0);
    fake_start(&fake, loop);
    inet_pton(AF_INET, "127.0.0.2", &resolver_first.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &resolver_second.sin_addr);
    resolver_first.sin_port = htons((uint16_t)fake.port);
    assert_int_equal(bind(silent, (struct sockaddr *)&resolver_first, sizeof resolver_first), 0);
    assert_int_equal(listen(silent, 16), 0);
    resolver_first.sin_port = 0;
    snprintf(url, sizeof url, "postgres://shop@two.test:%d/shop?sslmode=disable", fake.port);
    postgres_t *postgres =
        rig_client_with(loop, (postgres_options_t){.url = url, .shared = 1, .connect_ms = 1000});
    RIG_UNTIL(loop, postgres_up(postgres));
    rig_run(loop, postgres, &ask, "select 1");
    assert_int_equal(ask.err, 0);
    assert_int_equal(fake.executed, 1);
    loop_delete(loop);
    close(silent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_silent_address),
        cmocka_unit_test(test_the_end_while_a_resolver_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
