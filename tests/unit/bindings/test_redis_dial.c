/* test_redis_dial.c: names with several addresses, of which some are dead; resolvers that hang. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/resolver_rig.h"
#include "bindings/redis_rig.h"
#include "redis/dial.h"

typedef struct dialler {
    int done, fd, err;
} dialler_t;

static void on_done(void *data, int fd, int err) {
    dialler_t *dialler = data;
    dialler->done++;
    dialler->fd = fd;
    dialler->err = err;
    if (fd >= 0) close(fd);
}

static redis_dial_t *dial(loop_t *loop, dialler_t *dialler, uint64_t ms) {
    redis_endpoint_t at = {.host = "two.test", .port = 1};
    *dialler = (dialler_t){.fd = -1};
    redis_dial_t *dial = redis_dial_new(loop, &at, loop_now(loop) + ms, on_done, dialler);
    assert_non_null(dial);
    return dial;
}

/* Whoever connects to it gets no answer: the queue of those it has not accepted is full. */
typedef struct hole {
    int listener, filler;
} hole_t;

static hole_t dig(struct sockaddr_in *address) {
    hole_t hole = {
        .listener = socket(AF_INET, SOCK_STREAM, 0), .filler = socket(AF_INET, SOCK_STREAM, 0)};
    socklen_t size = sizeof *address;
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(hole.listener, (struct sockaddr *)address, size), 0);
    assert_int_equal(listen(hole.listener, 0), 0);
    assert_int_equal(getsockname(hole.listener, (struct sockaddr *)address, &size), 0);
    assert_int_equal(connect(hole.filler, (struct sockaddr *)address, size), 0);
    return hole;
}

static void fill_in(const hole_t *hole) {
    close(hole->filler);
    close(hole->listener);
}

static struct sockaddr_in place_of(const fake_t *fake) {
    return (struct sockaddr_in){.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)fake->port)};
}

static void test_a_dead_address_leaves_time_for_the_next(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    dialler_t dialler;
    fake_start(&fake, loop);
    hole_t hole = dig(&resolver_first);
    resolver_second = place_of(&fake);
    dial(loop, &dialler, 200);
    RIG_UNTIL(loop, dialler.done);
    assert_true(dialler.fd >= 0);
    fill_in(&hole);
    loop_delete(loop);
}

static void test_the_last_address_has_no_limit_of_its_own(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    dialler_t dialler;
    hole_t first = dig(&resolver_first), second = dig(&resolver_second);
    redis_dial_t *dialling = dial(loop, &dialler, 20);
    uint64_t later = loop_now(loop) + 100;
    RIG_UNTIL(loop, loop_now(loop) >= later);
    assert_int_equal(dialler.done, 0);
    redis_dial_stop(dialling);
    fill_in(&first);
    fill_in(&second);
    loop_delete(loop);
    assert_int_equal(dialler.done, 0);
}

static void test_all_refuse(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    dialler_t dialler;
    fake_t fake;
    fake_start(&fake, loop);
    fake_unlisten(&fake);
    rig_settle(loop);
    int guard = fake_reserve(&fake);
    resolver_first = resolver_second = place_of(&fake);
    dial(loop, &dialler, 60000);
    RIG_UNTIL(loop, dialler.done);
    assert_int_equal(dialler.err, UV_ECONNREFUSED);
    close(guard);
    loop_delete(loop);
}

/* The server must be able to end while its resolver hangs. */
static void test_the_end_while_a_resolver_hangs(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    resolver_hang();
    redis_t *redis = rig_client(loop, "redis://two.test");
    rig_settle(loop);
    resolver_await(2); /* connections are shared by two */
    assert_false(redis_up(redis));
    loop_delete(loop);
    resolver_go_on();
    resolver_await(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dead_address_leaves_time_for_the_next),
        cmocka_unit_test(test_the_last_address_has_no_limit_of_its_own),
        cmocka_unit_test(test_all_refuse),
        cmocka_unit_test(test_the_end_while_a_resolver_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
