/* test_lookup.c: names are looked up beside the loop; one whose resolver hangs holds up nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/resolver_rig.h"
#include "base/lookup.h"

typedef struct asker {
    int done, err, count;
} asker_t;

static void on_done(void *data, int err, struct addrinfo *found) {
    asker_t *asker = data;
    asker->done++;
    asker->err = err;
    for (struct addrinfo *info = found; info; info = info->ai_next)
        asker->count++;
    if (found) freeaddrinfo(found);
}

static lookup_t *start(loop_t *loop, asker_t *asker, const char *host) {
    lookup_t *lookup;
    *asker = (asker_t){0};
    assert_int_equal(lookup_start(&lookup, loop, host, 6379, on_done, asker), 0);
    assert_int_equal(asker->done, 0);
    return lookup;
}

static void test_addresses(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    asker_t asker;
    start(loop, &asker, "two.test");
    loop_run(loop); /* it keeps the loop alive, and nothing else does */
    assert_int_equal(asker.done, 1);
    assert_int_equal(asker.err, 0);
    assert_int_equal(asker.count, 2);
    start(loop, &asker, "nobody.test");
    loop_run(loop);
    assert_int_equal(asker.err, UV_EAI_NONAME);
    assert_int_equal(asker.count, 0);
    loop_delete(loop);
}

static void test_a_name_too_long(void **state) {
    (void)state;
    static char name[2000];
    loop_t *loop = loop_new();
    lookup_t *lookup;
    asker_t asker = {0};
    memset(name, 'a', sizeof name - 1);
    assert_int_equal(lookup_start(&lookup, loop, name, 1, on_done, &asker), UV_ENAMETOOLONG);
    loop_delete(loop);
}

/* The loop is gone before the resolver answers. */
static void test_a_resolver_that_hangs(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    asker_t asker;
    resolver_hang();
    lookup_t *lookup = start(loop, &asker, "two.test");
    resolver_await(1);
    lookup_stop(lookup);
    loop_delete(loop);
    assert_int_equal(asker.done, 0);
    resolver_go_on();
    resolver_await(0);
}

static void test_stopped_behind_the_answer(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    asker_t asker;
    resolver_hang();
    lookup_t *lookup = start(loop, &asker, "two.test");
    resolver_await(1);
    resolver_go_on();
    resolver_await(0); /* its message may be on its way */
    lookup_stop(lookup);
    loop_turn(loop, 10);
    loop_delete(loop);
    assert_int_equal(asker.done, 0);
}

static void test_too_many(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    asker_t askers[LOOKUPS_MAX + 1] = {0}, one = {0};
    lookup_t *lookups[LOOKUPS_MAX + 1], *more;
    int count = 0, err = 0;
    resolver_hang();
    while (!err && count <= LOOKUPS_MAX) {
        err = lookup_start(&lookups[count], loop, "two.test", 1, on_done, &askers[count]);
        if (!err) count++;
    }
    assert_int_equal(err, UV_EAI_AGAIN);
    assert_in_range(count, 1, LOOKUPS_MAX);
    for (int i = 0; i < count; i++)
        lookup_stop(lookups[i]);
    resolver_go_on();
    while (lookup_start(&more, loop, "two.test", 1, on_done, &one) == UV_EAI_AGAIN)
        usleep(1000); /* until the threads have ended */
    loop_run(loop);
    assert_int_equal(one.count, 2);
    loop_delete(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_a_name_too_long),
        cmocka_unit_test(test_a_resolver_that_hangs),
        cmocka_unit_test(test_stopped_behind_the_answer),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
