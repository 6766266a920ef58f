/* test_redis_cluster.c: keys find their server on a Cluster of fake servers that do as told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "bindings/redis_rig.h"
#include "redis/router.h"

/* "bar" has slot 5061 and "foo" slot 12182. */
#define FOO 12182
#define MOST 3
#define EVER 1000000

typedef struct town town_t;
typedef struct house {
    fake_t fake;
    town_t *town;
    int number;
    const char *error; /* answers this many commands for keys, instead of its number */
    int errors;
    bool silent, disabled;
    int gets, questions, readonly; /* what it was asked */
    int asking, asking_read,
        asked; /* ASKING: how often, in which read, and commands right after it in that read */
    const fake_conn_t *asking_conn;
    fake_conn_t *held; /* whose answer is still owed */
    int reserved;      /* keeps the port while nobody listens; -1: none */
} house_t;

struct town {
    loop_t *loop;
    redis_t *redis;
    house_t houses[MOST];
    int low, high,
        replica; /* which house holds the lower half of the slots, and the upper; -1: the lower's replica */
    char errors[MOST][64];
};

static void say_place(fake_conn_t *conn, const house_t *house) {
    char text[100];
    snprintf(text, sizeof text, "*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n", house->fake.port);
    fake_say(conn, text);
}

static void say_slots(town_t *town, fake_conn_t *conn) {
    fake_say(
        conn, town->replica < 0 ? "*2\r\n*3\r\n:0\r\n:8191\r\n" : "*2\r\n*4\r\n:0\r\n:8191\r\n");
    say_place(conn, &town->houses[town->low]);
    if (town->replica >= 0) say_place(conn, &town->houses[town->replica]);
    fake_say(conn, "*3\r\n:8192\r\n:16383\r\n");
    say_place(conn, &town->houses[town->high]);
}

static void answer_question(house_t *house, fake_conn_t *conn) {
    house->questions++;
    if (house->disabled)
        fake_say(conn, "-ERR This instance has cluster support disabled\r\n");
    else
        say_slots(house->town, conn);
}

static void answer_get(house_t *house, fake_conn_t *conn) {
    char text[8];
    house->gets++;
    if (house->asking_conn == conn && house->asking_read == house->fake.reads) house->asked++;
    house->asking_conn = NULL;
    if (house->silent) house->held = conn;
    if (house->silent) return;
    snprintf(text, sizeof text, "%d", house->number);
    if (house->errors > 0) {
        house->errors--;
        fake_say(conn, house->error);
    } else {
        fake_bulk(conn, text);
    }
}

static void serve(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    house_t *house = fake->data;
    const char *name = fake_word(command, 0);
    if (strcmp(name, "CLUSTER") == 0) {
        answer_question(house, conn);
    } else if (strcmp(name, "ASKING") == 0) {
        house->asking++;
        house->asking_read = fake->reads;
        house->asking_conn = conn;
        fake_say(conn, "+OK\r\n");
    } else if (strcmp(name, "READONLY") == 0) {
        house->readonly++;
        fake_say(conn, "+OK\r\n");
    } else if (strcmp(name, "SUBSCRIBE") == 0) {
        fake_say(conn, "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    } else {
        answer_get(house, conn);
    }
}

/* The first house holds all. */
static void build(town_t *town) {
    *town = (town_t){.loop = loop_new(), .replica = -1};
    for (int i = 0; i < MOST; i++) {
        house_t *house = &town->houses[i];
        fake_start(&house->fake, town->loop);
        house->fake.on_command = serve;
        house->fake.data = house;
        house->town = town;
        house->number = i;
        house->reserved = -1;
    }
}

static void connect_with(town_t *town, const char *options) {
    char url[200];
    snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d,127.0.0.1:%d%s",
        town->houses[0].fake.port, town->houses[1].fake.port, options);
    town->redis = rig_client(town->loop, url);
}

static void open_town(town_t *town) {
    build(town);
    connect_with(town, "");
}

static int questions(const town_t *town) {
    int count = 0;
    for (int i = 0; i < MOST; i++)
        count += town->houses[i].questions;
    return count;
}

/* From now on the house answers so many commands with an error that names another house. */
static void redirect(town_t *town, int from, const char *code, int slot, int to, int times) {
    snprintf(town->errors[from], sizeof town->errors[from], "-%s %d 127.0.0.1:%d\r\n", code, slot,
        town->houses[to].fake.port);
    town->houses[from].error = town->errors[from];
    town->houses[from].errors = times;
}

static void fail_with(town_t *town, int house, const char *error, int times) {
    town->houses[house].error = error;
    town->houses[house].errors = times;
}

static void vanish(town_t *town, int house) {
    town->houses[house].reserved = fake_vanish(&town->houses[house].fake);
}

static void close_town(town_t *town) {
    loop_delete(town->loop);
    for (int i = 0; i < MOST; i++)
        if (town->houses[i].reserved >= 0) close(town->houses[i].reserved);
}

static void test_keys_go_to_their_master(void **state) {
    (void)state;
    town_t town;
    call_t call;
    build(&town);
    town.high = 2; /* which no seed names */
    connect_with(&town, "");
    assert_false(redis_up(town.redis));
    rig_expect(town.loop, town.redis, "GET bar", "0");
    rig_expect(town.loop, town.redis, "GET foo", "2");
    rig_expect(town.loop, town.redis, "SET x{foo}y 1", "2");
    assert_true(redis_up(town.redis));
    rig_prepare(&call, "PING");
    assert_int_equal(redis_submit(town.redis, &call.command), 0);
    RIG_UNTIL(town.loop, call.done);
    assert_int_equal(call.command.err, 0);
    assert_int_equal(questions(&town), 1);
    RIG_UNTIL(town.loop, town.houses[1].fake.open == 0); /* a seed that holds nothing is left */
    close_town(&town);
}

/* Many redirections at once: each command is answered, and the servers are asked once. */
static void test_a_storm_of_redirections(void **state) {
    (void)state;
    enum { MANY = 50 };
    static call_t calls[MANY];
    town_t town;
    int done = 0;
    open_town(&town);
    rig_expect(town.loop, town.redis, "GET foo", "0");
    town.high = 1;
    redirect(&town, 0, "MOVED", FOO, 1, EVER);
    for (int i = 0; i < MANY; i++)
        rig_submit(town.redis, &calls[i], "INCR foo");
    while (done < MANY) {
        RIG_UNTIL(town.loop, calls[done].done);
        assert_string_equal(calls[done++].text, "1");
    }
    assert_int_equal(town.houses[0].gets, 1 + MANY);
    RIG_UNTIL(town.loop, questions(&town) == 2);
    rig_expect(town.loop, town.redis, "GET foo", "1");
    rig_settle(town.loop);
    assert_int_equal(questions(&town), 2);
    assert_int_equal(town.houses[0].gets, 1 + MANY);
    close_town(&town);
}

static void test_an_unknown_server(void **state) {
    (void)state;
    town_t town;
    open_town(&town);
    rig_expect(town.loop, town.redis, "GET foo", "0");
    redirect(&town, 0, "MOVED", FOO, 2, 1);
    assert_int_equal(town.houses[2].fake.accepted, 0);
    rig_expect(town.loop, town.redis, "INCR foo", "2");
    close_town(&town);
}

static void test_redirections_end(void **state) {
    (void)state;
    town_t town;
    call_t call;
    open_town(&town);
    redirect(&town, 0, "MOVED", FOO, 1, EVER);
    redirect(&town, 1, "MOVED", FOO, 0, EVER);
    rig_run(town.loop, town.redis, &call, "INCR foo");
    assert_int_equal(call.command.err, 0);
    assert_int_equal(call.reply_err, ERR_UNAVAILABLE);
    assert_int_equal(town.houses[0].gets + town.houses[1].gets, 1 + REDIS_HOPS_MAX);
    close_town(&town);
}

/* ASKING and its command leave in one write, and the table stays as it is. */
static void test_ask(void **state) {
    (void)state;
    town_t town;
    open_town(&town);
    redirect(&town, 0, "ASK", FOO, 2, 2);
    rig_expect(town.loop, town.redis, "INCR foo", "2"); /* not connected yet */
    rig_expect(town.loop, town.redis, "INCR foo", "2");
    assert_int_equal(town.houses[2].asking, 2);
    assert_int_equal(town.houses[2].asked, 2);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    assert_int_equal(town.houses[2].gets, 2);
    assert_int_equal(questions(&town), 1);
    close_town(&town);
}

/* A server that is being asked for says no: back to the master, without ASKING. */
static void test_ask_that_came_too_late(void **state) {
    (void)state;
    town_t town;
    open_town(&town);
    redirect(&town, 0, "ASK", FOO, 2, 1);
    redirect(&town, 2, "MOVED", FOO, 0, 1);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    assert_int_equal(town.houses[2].asking, 1);
    assert_int_equal(town.houses[0].asking, 0);
    close_town(&town);
}

static void run_repeatable(town_t *town, call_t *call) {
    rig_prepare(call, "GET foo");
    call->command.repeatable = true;
    assert_int_equal(redis_submit(town->redis, &call->command), 0);
    RIG_UNTIL(town->loop, call->done);
    assert_int_equal(call->command.err, 0);
}

/* Only what was declared repeatable is sent again to a server that was not ready. */
static void test_not_ready(void **state) {
    (void)state;
    static const char *const ERRORS[] = {
        "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
        "-CLUSTERDOWN The cluster is down\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n"};
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        town_t town;
        call_t call;
        open_town(&town);
        fail_with(&town, 0, ERRORS[i], 2);
        run_repeatable(&town, &call);
        assert_string_equal(call.text, "0");
        assert_int_equal(town.houses[0].gets, 3);
        fail_with(&town, 0, ERRORS[i], EVER);
        run_repeatable(&town, &call);
        assert_int_equal(call.reply_err, ERR_UNAVAILABLE);
        assert_int_equal(town.houses[0].gets, 3 + 1 + REDIS_HOPS_MAX);
        rig_run(town.loop, town.redis, &call, "INCR foo");
        assert_int_equal(call.reply_err, ERR_UNAVAILABLE);
        assert_int_equal(town.houses[0].gets, 3 + 1 + REDIS_HOPS_MAX + 1);
        close_town(&town);
    }
}

/* The refusal itself is the answer when there is no time to wait for a better one. */
static void test_not_ready_and_no_time(void **state) {
    (void)state;
    town_t town;
    call_t call;
    open_town(&town);
    rig_expect(town.loop, town.redis, "GET foo", "0");
    fail_with(&town, 0, "-CLUSTERDOWN The cluster is down\r\n", EVER);
    rig_prepare(&call, "GET foo");
    call.command.repeatable = true;
    call.command.deadline_ms = loop_now(town.loop) + 60;
    assert_int_equal(redis_submit(town.redis, &call.command), 0);
    RIG_UNTIL(town.loop, call.done);
    assert_int_equal(call.done, 1);
    assert_true(call.reply_err == ERR_UNAVAILABLE || call.command.err == ERR_TIMEOUT);
    close_town(&town);
}

static void test_errors_of_the_command_pass(void **state) {
    (void)state;
    town_t town;
    call_t call;
    open_town(&town);
    fail_with(&town, 0, "-CROSSSLOT Keys in request don't hash to the same slot\r\n", 1);
    rig_run(town.loop, town.redis, &call, "MGET foo bar");
    assert_int_equal(call.reply_err, ERR_INTERNAL);
    assert_int_equal(town.houses[0].gets, 1);
    close_town(&town);
}

/* Another server takes over. What was under way is reported, once, also what may be repeated; then all is well by
   itself. */
static void test_failover(void **state) {
    (void)state;
    town_t town;
    call_t write, read, call;
    open_town(&town);
    rig_expect(town.loop, town.redis, "GET foo", "0");
    town.houses[0].silent = true;
    rig_submit(town.redis, &write, "INCR foo");
    rig_submit(town.redis, &read, "GET foo");
    read.command.repeatable = true;
    RIG_UNTIL(town.loop, town.houses[0].gets == 3);
    town.low = town.high = 1;
    vanish(&town, 0);
    RIG_UNTIL(town.loop, write.done && read.done);
    assert_int_equal(write.command.err, ERR_CLOSED);
    assert_int_equal(read.command.err, ERR_CLOSED);
    rig_await(town.loop, town.redis, &call, "INCR foo", 0);
    assert_string_equal(call.text, "1");
    assert_int_equal(write.done, 1);
    assert_int_equal(town.houses[0].gets, 3);
    close_town(&town);
}

/* One half is lost for longer; the other is served meanwhile. */
static void test_half_a_cluster(void **state) {
    (void)state;
    town_t town;
    call_t call;
    build(&town);
    town.high = 2;
    connect_with(&town, "");
    rig_expect(town.loop, town.redis, "GET foo", "2");
    vanish(&town, 2);
    rig_await(town.loop, town.redis, &call, "INCR foo", ERR_UNAVAILABLE);
    rig_expect(town.loop, town.redis, "INCR bar", "0");
    assert_true(redis_up(town.redis));
    town.high = 1;
    rig_await(town.loop, town.redis, &call, "INCR foo", 0);
    assert_string_equal(call.text, "1");
    close_town(&town);
}

/* Nobody is there: that is said at once. Somebody comes: served. */
static void test_nobody_is_there(void **state) {
    (void)state;
    town_t town;
    call_t call;
    build(&town);
    vanish(&town, 0);
    vanish(&town, 1);
    connect_with(&town, "");
    rig_run(town.loop, town.redis, &call, "INCR foo");
    assert_int_equal(call.command.err, ERR_UNAVAILABLE);
    assert_false(redis_up(town.redis));
    fake_listen(&town.houses[0].fake, town.houses[0].fake.port);
    rig_await(town.loop, town.redis, &call, "INCR foo", 0);
    assert_string_equal(call.text, "0");
    close_town(&town);
}

/* All go, and one comes back under another's slots: the seeds lead to it. */
static void test_all_are_lost(void **state) {
    (void)state;
    town_t town;
    call_t call;
    build(&town);
    town.low = town.high = 2;
    connect_with(&town, "");
    rig_expect(town.loop, town.redis, "GET foo", "2");
    RIG_UNTIL(town.loop, town.houses[0].fake.open + town.houses[1].fake.open == 0);
    vanish(&town, 2);
    town.low = town.high = 1;
    rig_await(town.loop, town.redis, &call, "INCR foo", 0);
    assert_string_equal(call.text, "1");
    close_town(&town);
}

static void test_no_cluster(void **state) {
    (void)state;
    town_t town;
    call_t call;
    build(&town);
    town.houses[0].disabled = town.houses[1].disabled = true;
    connect_with(&town, "");
    rig_prepare(&call, "GET foo");
    call.command.deadline_ms = loop_now(town.loop) + 50;
    assert_int_equal(redis_submit(town.redis, &call.command), 0);
    RIG_UNTIL(town.loop, call.done);
    assert_int_equal(call.command.err, ERR_TIMEOUT);
    assert_false(redis_up(town.redis));
    town.houses[0].disabled = town.houses[1].disabled = false;
    rig_expect(town.loop, town.redis, "GET foo", "0");
    close_town(&town);
}

/* A server that is not of the Cluster any more has no connections, and those who waited there go elsewhere. */
static void test_a_server_that_left(void **state) {
    (void)state;
    town_t town;
    build(&town);
    town.high = 2;
    connect_with(&town, "");
    rig_expect(town.loop, town.redis, "GET foo", "2");
    town.high = 1;
    redirect(&town, 2, "MOVED", FOO, 1, EVER);
    rig_expect(town.loop, town.redis, "GET foo", "1");
    RIG_UNTIL(town.loop, town.houses[2].fake.open == 0);
    rig_expect(town.loop, town.redis, "GET foo", "1");
    close_town(&town);
}

/* An answer that is under way when its server leaves still arrives. */
static void test_leaving_waits_for_answers(void **state) {
    (void)state;
    town_t town;
    call_t late;
    build(&town);
    town.high = 2;
    connect_with(&town, "");
    rig_expect(town.loop, town.redis, "GET foo", "2");
    RIG_UNTIL(town.loop, town.houses[1].fake.open == 0);
    town.houses[2].silent = true;
    rig_submit(town.redis, &late, "INCR foo");
    RIG_UNTIL(town.loop, town.houses[2].gets == 2);
    town.high = 1;
    redirect(&town, 0, "MOVED", 5061, 0, 1);
    rig_expect(town.loop, town.redis, "GET bar", "0");   /* makes it ask again */
    RIG_UNTIL(town.loop, town.houses[1].fake.open == 2); /* it has learnt */
    rig_expect(town.loop, town.redis, "GET foo", "1");
    assert_int_equal(late.done, 0);
    fake_bulk(town.houses[2].held, "late");
    RIG_UNTIL(town.loop, late.done);
    assert_string_equal(late.text, "late");
    RIG_UNTIL(town.loop, town.houses[2].fake.open == 0);
    close_town(&town);
}

static void test_replicas(void **state) {
    (void)state;
    town_t town;
    call_t call;
    build(&town);
    town.replica = 2;
    connect_with(&town, "/?replicas=yes");
    rig_expect(town.loop, town.redis, "GET bar", "0");
    rig_await_read(town.loop, town.redis, "GET bar", "2");
    assert_true(town.houses[2].readonly > 0);
    rig_expect(town.loop, town.redis, "SET bar 1", "0");
    /* One that is not ready, and one that is gone, leave it to the master. */
    fail_with(&town, 2, "-LOADING Redis is loading the dataset in memory\r\n", 1);
    rig_expect_read(town.loop, town.redis, "GET bar", "0");
    town.houses[2].silent = true;
    rig_prepare(&call, "GET bar");
    call.command.replica = true;
    assert_int_equal(redis_submit(town.redis, &call.command), 0);
    RIG_UNTIL(town.loop, town.houses[2].held);
    vanish(&town, 2);
    RIG_UNTIL(town.loop, call.done);
    assert_int_equal(call.command.err, ERR_CLOSED); /* what was under way is reported, here too */
    rig_expect_read(town.loop, town.redis, "GET bar", "0");
    close_town(&town);
}

/* A replica that comes later, as those of a Cluster that has just been made do, is found though nobody names it. */
static void test_a_new_replica(void **state) {
    (void)state;
    town_t town;
    build(&town);
    connect_with(&town, "/?replicas=yes");
    rig_expect_read(town.loop, town.redis, "GET bar", "0");
    town.replica = 2;
    rig_await_read(town.loop, town.redis, "GET bar", "2");
    close_town(&town);
}

typedef struct leased {
    lease_t lease;
    int got;
} leased_t;

static void on_got(lease_t *lease) {
    leased_t *leased = lease->data;
    leased->got++;
}

static void take_lease(town_t *town, leased_t *leased) {
    *leased = (leased_t){
        .lease = {.tenant = SPAN("t"), .key = SPAN("foo"), .got = on_got, .data = leased}};
    assert_int_equal(redis_lease(town->redis, &leased->lease), 0);
    RIG_UNTIL(town->loop, leased->got);
    assert_int_equal(leased->lease.err, 0);
}

/* What is owned is not redirected, but the next one goes to the right server. */
static void test_leases_learn(void **state) {
    (void)state;
    town_t town;
    leased_t leased;
    call_t call;
    open_town(&town);
    redirect(&town, 0, "MOVED", FOO, 1, 1);
    take_lease(&town, &leased);
    rig_prepare(&call, "GET foo");
    assert_int_equal(redis_lease_submit(&leased.lease, &call.command), 0);
    RIG_UNTIL(town.loop, call.done);
    assert_int_equal(call.reply_err, ERR_UNAVAILABLE);
    lease_end(&leased.lease, true);
    take_lease(&town, &leased);
    rig_prepare(&call, "GET foo");
    assert_int_equal(redis_lease_submit(&leased.lease, &call.command), 0);
    RIG_UNTIL(town.loop, call.done);
    assert_string_equal(call.text, "1");
    lease_end(&leased.lease, true);
    close_town(&town);
}

typedef struct ear {
    redis_subscription_t subscription;
    int missed;
} ear_t;

static void on_message(redis_subscription_t *subscription, span_t channel, span_t payload) {
    (void)subscription;
    (void)channel;
    (void)payload;
}

static void on_missed(redis_subscription_t *subscription) {
    ear_t *ear = subscription->data;
    ear->missed++;
}

/* Who listened to a server that left listens to another and is told. */
static void test_subscriptions_leave(void **state) {
    (void)state;
    town_t town;
    call_t call;
    ear_t ear = {
        {.channel = SPAN("news"), .message = on_message, .missed = on_missed, .data = &ear}, 0};
    build(&town);
    town.low = town.high = 2;
    connect_with(&town, "");
    rig_run(town.loop, town.redis, &call, "GET foo");
    assert_int_equal(redis_subscribe(town.redis, &ear.subscription), 0);
    RIG_UNTIL(town.loop, ear.subscription.live);
    town.low = town.high = 1;
    redirect(&town, 2, "MOVED", FOO, 1, EVER);
    rig_expect(town.loop, town.redis, "GET foo", "1");
    RIG_UNTIL(town.loop, town.houses[2].fake.open == 0);
    RIG_UNTIL(town.loop, ear.missed >= 3 && ear.subscription.live);
    redis_unsubscribe(&ear.subscription);
    close_town(&town);
}

/* The end comes while everything is under way. */
static void test_close_at_any_time(void **state) {
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        town_t town;
        call_t calls[3];
        build(&town);
        town.replica = 2;
        town.houses[0].silent = turns % 2;
        connect_with(&town, "/?replicas=yes");
        rig_submit(town.redis, &calls[0], "INCR foo");
        rig_submit(town.redis, &calls[1], "INCR bar");
        redirect(&town, 0, "MOVED", FOO, 1, turns % 3);
        for (int i = 0; i < turns; i++)
            loop_turn(town.loop, 1);
        rig_submit(town.redis, &calls[2], "GET foo");
        close_town(&town);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(calls[i].done, 1);
            assert_true(!calls[i].command.err || calls[i].command.err == ERR_CLOSED);
        }
    }
}

static void test_a_url_for_reading(void **state) {
    (void)state;
    char why[200];
    loop_t *loop = loop_new();
    redis_options_t options = {.url = "redis+cluster://127.0.0.1", .read_url = "redis://127.0.0.1"};
    assert_null(redis_new(loop, &options, why, sizeof why));
    assert_non_null(strstr(why, "replicas=yes"));
    loop_delete(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_go_to_their_master),
        cmocka_unit_test(test_a_storm_of_redirections),
        cmocka_unit_test(test_an_unknown_server),
        cmocka_unit_test(test_redirections_end),
        cmocka_unit_test(test_ask),
        cmocka_unit_test(test_ask_that_came_too_late),
        cmocka_unit_test(test_not_ready),
        cmocka_unit_test(test_not_ready_and_no_time),
        cmocka_unit_test(test_errors_of_the_command_pass),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_half_a_cluster),
        cmocka_unit_test(test_nobody_is_there),
        cmocka_unit_test(test_all_are_lost),
        cmocka_unit_test(test_no_cluster),
        cmocka_unit_test(test_a_server_that_left),
        cmocka_unit_test(test_leaving_waits_for_answers),
        cmocka_unit_test(test_replicas),
        cmocka_unit_test(test_a_new_replica),
        cmocka_unit_test(test_leases_learn),
        cmocka_unit_test(test_subscriptions_leave),
        cmocka_unit_test(test_close_at_any_time),
        cmocka_unit_test(test_a_url_for_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
