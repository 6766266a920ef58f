/* test_redis_pool.c: connections of one's own: transactions, fair shares, what comes back clean and what does not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "bindings/redis_server.h"
#include "redis/router.h"

typedef struct tenant {
    lease_t lease;
    int got;
} tenant_t;

static void on_got(lease_t *lease) {
    tenant_t *tenant = lease->data;
    tenant->got++;
}

static void ask(redis_t *redis, tenant_t *tenant, const char *name) {
    memset(tenant, 0, sizeof *tenant);
    tenant->lease.tenant = span_of(name);
    tenant->lease.got = on_got;
    tenant->lease.data = tenant;
    tenant->lease.deadline_ms = loop_now(redis_loop(redis)) + 60000;
    assert_int_equal(redis_lease(redis, &tenant->lease), 0);
    assert_int_equal(tenant->got, 0);
}

static void get(loop_t *loop, redis_t *redis, tenant_t *tenant, const char *name) {
    ask(redis, tenant, name);
    RIG_UNTIL(loop, tenant->got);
    assert_int_equal(tenant->lease.err, 0);
}

static void submit(tenant_t *tenant, call_t *call, const char *line) {
    rig_prepare(call, line);
    assert_int_equal(redis_lease_submit(&tenant->lease, &call->command), 0);
}

static void run(loop_t *loop, tenant_t *tenant, call_t *call, const char *line) {
    submit(tenant, call, line);
    RIG_UNTIL(loop, call->done);
}

static long long id_of(loop_t *loop, tenant_t *tenant) {
    call_t call;
    run(loop, tenant, &call, "CLIENT ID");
    return call.integer;
}

static redis_t *client(loop_t *loop, int most) {
    return rig_client_with(loop, (redis_options_t){.url = server.url,
                                     .pool_max = most,
                                     .pool_min = 1,
                                     .command_ms = 60000,
                                     .connect_ms = 60000});
}

static void test_a_transaction(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = client(loop, 4);
    tenant_t mine, theirs;
    call_t call;
    get(loop, redis, &mine, "acme");
    get(loop, redis, &theirs, "other");
    run(loop, &mine, &call, "SET stock 5");
    run(loop, &mine, &call, "WATCH stock");
    run(loop, &theirs, &call, "SET stock 4");
    run(loop, &mine, &call, "MULTI");
    run(loop, &mine, &call, "SET stock 3");
    assert_string_equal(call.text, "QUEUED");
    run(loop, &mine, &call, "EXEC");
    assert_int_equal(call.type, REDIS_REPLY_NIL);
    run(loop, &mine, &call, "GET stock");
    assert_string_equal(call.text, "4");
    lease_end(&mine.lease, true);
    lease_end(&theirs.lease, true);
    loop_delete(loop);
}

static void test_clean_ones_are_used_again(void **state) {
    (void)state;
    static const char *const DIRTY[] = {"WATCH k", "MULTI"};
    static const char *const CLEANED[] = {"UNWATCH", "DISCARD"};
    loop_t *loop = loop_new();
    redis_t *redis = client(loop, 1);
    tenant_t tenant;
    call_t call;
    get(loop, redis, &tenant, "acme");
    long long id = id_of(loop, &tenant);
    for (int i = 0; i < 2; i++) {
        run(loop, &tenant, &call, DIRTY[i]);
        run(loop, &tenant, &call, CLEANED[i]);
        lease_end(&tenant.lease, true);
        get(loop, redis, &tenant, "acme");
        assert_true(id_of(loop, &tenant) == id);
        run(loop, &tenant, &call, DIRTY[i]);
        lease_end(&tenant.lease, true);
        get(loop, redis, &tenant, "acme");
        assert_true(id_of(loop, &tenant) != id);
        id = id_of(loop, &tenant);
    }
    lease_end(&tenant.lease, false);
    get(loop, redis, &tenant, "acme");
    assert_true(id_of(loop, &tenant) != id);
    loop_delete(loop);
}

/* What a blocking command is still waiting for must not reach the next holder. */
static void test_an_open_command_closes_it(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = client(loop, 1);
    tenant_t tenant, next;
    call_t pop, push;
    get(loop, redis, &tenant, "acme");
    submit(&tenant, &pop, "BLPOP nothing 0");
    redis_cancel(&pop.command);
    RIG_UNTIL(loop, pop.done);
    lease_end(&tenant.lease, true);
    get(loop, redis, &next, "other");
    run(loop, &next, &push, "RPUSH nothing x");
    assert_int_equal(push.type, REDIS_REPLY_INTEGER);
    run(loop, &next, &push, "LLEN nothing");
    assert_int_equal(push.integer, 1);
    run(loop, &next, &push, "DEL nothing");
    loop_delete(loop);
}

static void test_blocking_does_not_hold_up_others(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = client(loop, 2);
    tenant_t tenant;
    call_t pop, push;
    get(loop, redis, &tenant, "acme");
    submit(&tenant, &pop, "BLPOP queue 0");
    rig_run(loop, redis, &push, "RPUSH queue job");
    RIG_UNTIL(loop, pop.done);
    assert_int_equal(pop.elements, 2);
    lease_end(&tenant.lease, true);
    loop_delete(loop);
}

static void test_no_tenant_has_them_all(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = client(loop, 4);
    tenant_t greedy[6], modest;
    for (int i = 0; i < 6; i++)
        ask(redis, &greedy[i], "greedy");
    RIG_UNTIL(loop, greedy[0].got && greedy[1].got);
    get(loop, redis, &modest, "modest");
    assert_int_equal(greedy[2].got, 0);
    lease_end(&greedy[0].lease, true);
    RIG_UNTIL(loop, greedy[2].got);
    assert_int_equal(greedy[3].got, 0);
    lease_end(&greedy[3].lease, true); /* gives up waiting */
    lease_end(&greedy[1].lease, true);
    RIG_UNTIL(loop, greedy[4].got);
    assert_int_equal(greedy[3].got, 0);
    loop_delete(loop);
    assert_int_equal(greedy[5].got, 1); /* the end is told to who still waits */
    assert_int_equal(greedy[5].lease.err, ERR_CLOSED);
    lease_end(&greedy[4].lease, true); /* after the loop: harmless */
}

static void test_a_deadline(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = client(loop, 1);
    tenant_t first, second, third;
    get(loop, redis, &first, "acme");
    memset(&second, 0, sizeof second);
    second.lease.tenant = SPAN("other");
    second.lease.got = on_got;
    second.lease.data = &second;
    second.lease.deadline_ms = loop_now(loop) + 20;
    assert_int_equal(redis_lease(redis, &second.lease), 0);
    ask(redis, &third, "third");
    RIG_UNTIL(loop, second.got);
    assert_int_equal(second.lease.err, ERR_TIMEOUT);
    lease_end(&second.lease, true);
    lease_end(&first.lease, true);
    RIG_UNTIL(loop, third.got);
    assert_int_equal(third.lease.err, 0);
    loop_delete(loop);
}

static void test_too_many_wait(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = client(loop, 1);
    static tenant_t tenants[6];
    get(loop, redis, &tenants[0], "t");
    for (int i = 1; i < 5; i++)
        ask(redis, &tenants[i], "t");
    tenants[5].lease.tenant = SPAN("t");
    tenants[5].lease.got = on_got;
    assert_int_equal(redis_lease(redis, &tenants[5].lease), ERR_BUSY);
    loop_delete(loop);
}

static void test_a_lost_connection(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = client(loop, 2);
    tenant_t tenant;
    call_t pop, kill;
    char line[64];
    get(loop, redis, &tenant, "acme");
    snprintf(line, sizeof line, "CLIENT KILL ID %lld", id_of(loop, &tenant));
    submit(&tenant, &pop, "BLPOP nothing 0");
    rig_run(loop, redis, &kill, line);
    RIG_UNTIL(loop, pop.done);
    assert_int_equal(pop.command.err, ERR_CLOSED);
    rig_prepare(&pop, "GET k");
    assert_int_equal(redis_lease_submit(&tenant.lease, &pop.command), ERR_CLOSED);
    lease_end(&tenant.lease, true);
    get(loop, redis, &tenant, "acme");
    assert_true(id_of(loop, &tenant) > 0);
    loop_delete(loop);
}

static void test_the_drivers_commands_are_refused(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = client(loop, 2);
    tenant_t tenant;
    call_t call;
    get(loop, redis, &tenant, "acme");
    static const char *const LINES[] = {
        "SUBSCRIBE c", "MONITOR", "SELECT 3", "HELLO 2", "CLIENT REPLY OFF"};
    for (int i = 0; i < 5; i++) {
        rig_prepare(&call, LINES[i]);
        assert_int_equal(redis_lease_submit(&tenant.lease, &call.command), ERR_INTERNAL);
    }
    loop_delete(loop);
}

static void test_no_server(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = rig_client(loop, "unix:///tmp/there-is-no-such-socket");
    tenant_t tenant;
    for (int i = 0; i < 3; i++) { /* first dialled in vain, then turned away */
        ask(redis, &tenant, "acme");
        RIG_UNTIL(loop, tenant.got);
        assert_int_equal(tenant.got, 1);
        assert_int_equal(tenant.lease.err, ERR_UNAVAILABLE);
        lease_end(&tenant.lease, true);
    }
    ask(redis, &tenant, "acme");
    lease_end(&tenant.lease, true);
    rig_settle(loop);
    assert_int_equal(tenant.got, 0);
    ask(redis, &tenant, "acme");
    loop_delete(loop);
    assert_int_equal(tenant.got, 1);
}

/* Who waits because all are in use does not wait for one that cannot be opened and that nobody wants any more. */
static void test_the_next_hears_of_no_server(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = rig_client_with(
        loop, (redis_options_t){.url = "unix:///tmp/there-is-no-such-socket", .pool_max = 1});
    tenant_t first, second;
    ask(redis, &first, "acme");
    ask(redis, &second, "other");
    lease_end(&first.lease, true);
    RIG_UNTIL(loop, second.got);
    assert_int_equal(second.lease.err, ERR_UNAVAILABLE);
    lease_end(&second.lease, true);
    loop_delete(loop);
}

static void end_and_forget(void *data) {
    tenant_t *tenant = data;
    lease_end(&tenant->lease, false);
    assert_int_equal(tenant->got, 0);
    free(tenant);
}

/* The client closes first: what was asked of it before the loop closes later. */
static void test_given_back_behind_the_end(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    tenant_t *tenant = malloc(sizeof *tenant);
    assert_non_null(tenant);
    assert_int_equal(loop_exit_add(loop, end_and_forget, tenant), 0);
    ask(rig_client(loop, "unix:///tmp/there-is-no-such-socket"), tenant, "acme");
    loop_delete(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_transaction),
        cmocka_unit_test(test_clean_ones_are_used_again),
        cmocka_unit_test(test_an_open_command_closes_it),
        cmocka_unit_test(test_blocking_does_not_hold_up_others),
        cmocka_unit_test(test_no_tenant_has_them_all),
        cmocka_unit_test(test_a_deadline),
        cmocka_unit_test(test_too_many_wait),
        cmocka_unit_test(test_a_lost_connection),
        cmocka_unit_test(test_the_drivers_commands_are_refused),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_the_next_hears_of_no_server),
        cmocka_unit_test(test_given_back_behind_the_end),
    };
    return cmocka_run_group_tests(tests, redis_server_start, redis_server_stop);
}
