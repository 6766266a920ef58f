/* test_redis_subscribe.c: messages arrive, and whenever some may not have, that is said. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "bindings/redis_server.h"

typedef struct ear {
    redis_subscription_t subscription;
    int messages, missed, lost;
    char channel[64], payload[64];
    struct ear *also_leave; /* unsubscribes this one at a message */
} ear_t;

static void on_message(redis_subscription_t *subscription, span_t channel, span_t payload) {
    ear_t *ear = subscription->data;
    ear->messages++;
    snprintf(ear->channel, sizeof ear->channel, "%.*s", (int)channel.len, channel.ptr);
    snprintf(ear->payload, sizeof ear->payload, "%.*s", (int)payload.len, payload.ptr);
    if (ear->also_leave) redis_unsubscribe(&ear->also_leave->subscription);
}

static void on_missed(redis_subscription_t *subscription) {
    ear_t *ear = subscription->data;
    if (subscription->live)
        ear->missed++;
    else
        ear->lost++;
}

static void listen_to(redis_t *redis, ear_t *ear, const char *channel, bool pattern) {
    memset(ear, 0, sizeof *ear);
    ear->subscription.channel = span_of(channel);
    ear->subscription.pattern = pattern;
    ear->subscription.message = on_message;
    ear->subscription.missed = on_missed;
    ear->subscription.data = ear;
    assert_int_equal(redis_subscribe(redis, &ear->subscription), 0);
    assert_int_equal(ear->missed, 0);
}

static long long publish(loop_t *loop, redis_t *redis, const char *line) {
    call_t call;
    rig_run(loop, redis, &call, line);
    assert_int_equal(call.command.err, 0);
    return call.integer;
}

static void test_messages(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = rig_client(loop, server.url);
    ear_t one, same, other, glob;
    listen_to(redis, &one, "news", false);
    listen_to(redis, &same, "news", false);
    listen_to(redis, &other, "prices", false);
    listen_to(redis, &glob, "n*", true);
    RIG_UNTIL(loop, one.missed && same.missed && other.missed && glob.missed);
    publish(loop, redis, "PUBLISH news first");
    RIG_UNTIL(loop, one.messages && same.messages && glob.messages);
    assert_string_equal(one.payload, "first");
    assert_string_equal(same.payload, "first");
    assert_string_equal(glob.channel, "news");
    assert_string_equal(glob.payload, "first");
    publish(loop, redis, "PUBLISH prices second");
    RIG_UNTIL(loop, other.messages);
    assert_int_equal(one.messages, 1);
    assert_int_equal(one.missed, 1);
    assert_int_equal(one.lost, 0);
    loop_delete(loop);
}

static void test_one_that_leaves(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = rig_client(loop, server.url);
    ear_t first, second, last;
    listen_to(redis, &first, "leaving", false);
    listen_to(redis, &second, "leaving", false);
    listen_to(redis, &last, "leaving", false);
    RIG_UNTIL(loop, last.missed);
    first.also_leave = &second;
    publish(loop, redis, "PUBLISH leaving x");
    RIG_UNTIL(loop, last.messages);
    assert_int_equal(first.messages, 1);
    assert_int_equal(second.messages, 0);
    redis_unsubscribe(&first.subscription);
    redis_unsubscribe(&second.subscription);
    last.also_leave = &last;
    publish(loop, redis, "PUBLISH leaving y");
    RIG_UNTIL(loop, last.messages == 2);
    RIG_UNTIL(loop, publish(loop, redis, "PUBLISH leaving z") == 0);
    assert_int_equal(last.messages, 2);
    loop_delete(loop);
}

/* Left before it was confirmed, taken up again at once: the new one is live only when the server says so. */
static void test_leaving_early(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = rig_client(loop, server.url);
    ear_t ready, ear;
    listen_to(redis, &ready, "ready", false);
    RIG_UNTIL(loop, ready.missed);
    listen_to(redis, &ear, "early", false);
    redis_unsubscribe(&ear.subscription);
    redis_unsubscribe(&ear.subscription);
    rig_settle(loop);
    assert_int_equal(ear.missed, 0);
    listen_to(redis, &ear, "early", false);
    RIG_UNTIL(loop, ear.missed);
    publish(loop, redis, "PUBLISH early x");
    RIG_UNTIL(loop, ear.messages == 1);
    redis_unsubscribe(&ear.subscription);
    RIG_UNTIL(loop, publish(loop, redis, "PUBLISH early y") == 0);
    loop_delete(loop);
}

static void test_a_lost_connection_is_told(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = rig_client(loop, server.url);
    ear_t ear;
    listen_to(redis, &ear, "told", false);
    RIG_UNTIL(loop, ear.missed == 1);
    for (int i = 1; i <= 3; i++) {
        publish(loop, redis, "CLIENT KILL TYPE pubsub");
        RIG_UNTIL(loop, ear.lost == i);
        RIG_UNTIL(loop, ear.missed == i + 1);
        assert_true(ear.subscription.live);
        int before = ear.messages;
        publish(loop, redis, "PUBLISH told again");
        RIG_UNTIL(loop, ear.messages == before + 1);
    }
    loop_delete(loop);
}

static void test_a_restarted_server(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    server_t own;
    ear_t ear;
    server_start(&own);
    redis_t *redis = rig_client(loop, own.url);
    listen_to(redis, &ear, "c", false);
    RIG_UNTIL(loop, ear.missed == 1);
    server_kill(&own);
    RIG_UNTIL(loop, ear.lost == 1);
    server_launch(&own, NULL);
    RIG_UNTIL(loop, ear.missed == 2);
    RIG_UNTIL(loop, redis_up(redis));
    publish(loop, redis, "PUBLISH c back");
    RIG_UNTIL(loop, ear.messages == 1);
    loop_delete(loop);
    server_stop(&own);
}

/* A server that says nothing at all, not even to PING, has gone though its connection has not. */
static void test_a_mute_server(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    server_t own;
    ear_t ear;
    server_start(&own);
    redis_t *redis = rig_client(loop, own.url);
    listen_to(redis, &ear, "c", false);
    RIG_UNTIL(loop, ear.missed == 1);
    kill(own.pid, SIGSTOP);
    RIG_UNTIL(loop, ear.lost == 1);
    kill(own.pid, SIGCONT);
    RIG_UNTIL(loop, ear.missed == 2);
    loop_delete(loop);
    server_stop(&own);
}

static bool is_refused(loop_t *loop, redis_t *redis) {
    call_t call;
    rig_run(loop, redis, &call, "ACL LOG");
    return call.elements > 0;
}

/* An operator forgot the channel's right and gives it later. Others that were asked for beside it are live. */
static void test_a_refusal_is_not_for_ever(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    ear_t allowed, refused;
    char url[200];
    redis_t *boss = rig_client(loop, server.url);
    call_t call;
    rig_run(loop, boss, &call, "ACL SETUSER half on >word ~* +@all resetchannels &allowed");
    snprintf(url, sizeof url, "unix://half:word@%s", server.socket);
    redis_t *redis = rig_client(loop, url);
    listen_to(redis, &refused, "refused", false);
    listen_to(redis, &allowed, "allowed", false);
    RIG_UNTIL(loop, allowed.missed == 1);
    RIG_UNTIL(loop, is_refused(loop, boss));
    assert_int_equal(refused.missed, 0);
    rig_run(loop, boss, &call, "ACL SETUSER half &refused");
    RIG_UNTIL(loop, refused.missed == 1);
    assert_true(refused.subscription.live);
    publish(loop, boss, "PUBLISH refused x");
    RIG_UNTIL(loop, refused.messages == 1);
    assert_true(allowed.subscription.live);
    loop_delete(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_one_that_leaves),
        cmocka_unit_test(test_leaving_early),
        cmocka_unit_test(test_a_lost_connection_is_told),
        cmocka_unit_test(test_a_restarted_server),
        cmocka_unit_test(test_a_mute_server),
        cmocka_unit_test(test_a_refusal_is_not_for_ever),
    };
    return cmocka_run_group_tests(tests, redis_server_start, redis_server_stop);
}
