/* test_redis_sentinel.c: a master is found and followed, among fake Sentinels and servers that do as told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "bindings/redis_rig.h"

#define SENTINELS 3
#define SERVERS 3

typedef struct town town_t;
typedef struct guard {
    fake_t fake;
    town_t *town;
    int names, epoch; /* which server it says is the master, and since which election */
    bool clueless, silent, bad_replica;
    int questions, subscribed;
    fake_conn_t *ear;
    int reserved; /* keeps the port while nobody listens; -1: none */
} guard_t;

typedef struct house {
    fake_t fake;
    town_t *town;
    int number, roles, gets;
    bool replica;  /* by its ROLE */
    bool readonly; /* refuses INCR */
    int loading;   /* refuses so many */
    bool silent;   /* owes the answer */
    fake_conn_t *held;
    int reserved;
} house_t;

struct town {
    loop_t *loop;
    redis_t *redis;
    guard_t guards[SENTINELS];
    house_t houses[SERVERS];
    int listed; /* the replica that the Sentinels list; -1: none */
};

static void say_field(fake_conn_t *conn, const char *name, const char *value) {
    fake_bulk(conn, name);
    fake_bulk(conn, value);
}

static void say_number(fake_conn_t *conn, const char *name, int value) {
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    say_field(conn, name, text);
}

static void answer_master(guard_t *guard, fake_conn_t *conn) {
    guard->questions++;
    if (guard->silent) return;
    if (guard->clueless) {
        fake_say(conn, "-ERR No such master with that name\r\n");
        return;
    }
    fake_say(conn, "%4\r\n");
    say_field(conn, "name", "shop");
    say_field(conn, "ip", "127.0.0.1");
    say_number(conn, "port", guard->town->houses[guard->names].fake.port);
    say_number(conn, "config-epoch", guard->epoch);
}

static void answer_replicas(const guard_t *guard, fake_conn_t *conn) {
    const town_t *town = guard->town;
    fake_say(conn, town->listed < 0 ? "*0\r\n" : "*1\r\n%4\r\n");
    if (town->listed < 0) return;
    say_field(conn, "ip", "127.0.0.1");
    say_number(conn, "port", town->houses[town->listed].fake.port);
    say_field(conn, "flags", guard->bad_replica ? "slave,s_down" : "slave");
    say_field(conn, "master-link-status", "ok");
}

static void guard_serve(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    guard_t *guard = fake->data;
    if (strcmp(fake_word(command, 0), "SUBSCRIBE") == 0) {
        guard->subscribed++;
        guard->ear = conn;
        fake_say(conn, "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    } else if (strcmp(fake_word(command, 0), "SENTINEL") != 0) {
        fake_say(conn, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    } else if (strcmp(fake_word(command, 1), "MASTER") == 0) {
        answer_master(guard, conn);
    } else {
        answer_replicas(guard, conn);
    }
}

static void house_serve(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    house_t *house = fake->data;
    const char *name = fake_word(command, 0);
    char text[8];
    snprintf(text, sizeof text, "%d", house->number);
    if (strcmp(name, "ROLE") == 0) {
        house->roles++;
        fake_say(
            conn, house->replica ? "*2\r\n$5\r\nslave\r\n:0\r\n" : "*2\r\n$6\r\nmaster\r\n:0\r\n");
        return;
    }
    house->gets++;
    if (house->silent) {
        house->held = conn;
    } else if (house->readonly && strcmp(name, "INCR") == 0) {
        fake_say(conn, "-READONLY You can't write against a read only replica.\r\n");
    } else if (house->loading > 0) {
        house->loading--;
        fake_say(conn, "-LOADING Redis is loading the dataset in memory\r\n");
    } else {
        fake_bulk(conn, text);
    }
}

static void build(town_t *town) {
    *town = (town_t){.loop = loop_new(), .listed = -1};
    for (int i = 0; i < SENTINELS; i++) {
        guard_t *guard = &town->guards[i];
        fake_start(&guard->fake, town->loop);
        guard->fake.on_command = guard_serve;
        guard->fake.data = guard;
        guard->town = town;
        guard->epoch = 1;
        guard->reserved = -1;
    }
    for (int i = 0; i < SERVERS; i++) {
        house_t *house = &town->houses[i];
        fake_start(&house->fake, town->loop);
        house->fake.on_command = house_serve;
        house->fake.data = house;
        house->town = town;
        house->number = i;
        house->reserved = -1;
        house->replica = i > 0;
    }
}

static void connect_as(town_t *town, const char *options, const char *read_url) {
    char url[200];
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d/shop%s",
        town->guards[0].fake.port, town->guards[1].fake.port, town->guards[2].fake.port, options);
    town->redis = rig_client_with(town->loop,
        (redis_options_t){
            .url = url, .read_url = read_url, .command_ms = 20000, .connect_ms = 20000});
}

static void open_town(town_t *town) {
    build(town);
    connect_as(town, "", NULL);
}

static void promote(town_t *town, int house) {
    for (int i = 0; i < SERVERS; i++)
        town->houses[i].replica = i != house;
}

/* So many of the Sentinels know of the next election. */
static void elect(town_t *town, int house, int sentinels) {
    for (int i = 0; i < sentinels; i++) {
        town->guards[i].names = house;
        town->guards[i].epoch++;
    }
}

static void publish(guard_t *guard) {
    static const char MESSAGE[] = "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$4\r\nshop\r\n";
    const list_t *conns = &guard->fake.conns;
    for (list_t *node = conns->next; node != conns; node = node->next)
        if (LIST_OWNER(node, fake_conn_t, node) == guard->ear) fake_say(guard->ear, MESSAGE);
}

static void close_town(town_t *town) {
    loop_delete(town->loop);
    for (int i = 0; i < SENTINELS; i++)
        if (town->guards[i].reserved >= 0) close(town->guards[i].reserved);
    for (int i = 0; i < SERVERS; i++)
        if (town->houses[i].reserved >= 0) close(town->houses[i].reserved);
}

/* All Sentinels have said what they say, and nothing more will come of that. */
static void settle(town_t *town) {
    for (int i = 0; i < SENTINELS; i++)
        RIG_UNTIL(town->loop, town->guards[i].subscribed > 0 && town->guards[i].questions > 1);
    rig_settle(town->loop);
}

static void test_the_master_is_asked_for_its_role(void **state) {
    (void)state;
    town_t town;
    open_town(&town);
    assert_false(redis_up(town.redis));
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    assert_true(redis_up(town.redis));
    RIG_UNTIL(town.loop, town.houses[0].roles == 2); /* each connection */
    assert_int_equal(town.houses[0].fake.accepted, 2);
    assert_int_equal(town.houses[1].fake.accepted + town.houses[2].fake.accepted, 0);
    close_town(&town);
}

static void test_a_switch(void **state) {
    (void)state;
    town_t town;
    open_town(&town);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    settle(&town);
    promote(&town, 1);
    elect(&town, 1, SENTINELS);
    publish(&town.guards[2]);
    RIG_UNTIL(town.loop, town.houses[0].fake.open == 0);
    rig_expect(town.loop, town.redis, "INCR foo", "1");
    assert_int_equal(town.houses[0].gets, 1);
    close_town(&town);
}

/* What the old master was asked before is still answered. */
static void test_a_switch_waits_for_answers(void **state) {
    (void)state;
    town_t town;
    call_t late;
    open_town(&town);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    settle(&town);
    town.houses[0].silent = true;
    rig_submit(town.redis, &late, "INCR foo");
    RIG_UNTIL(town.loop, town.houses[0].held);
    promote(&town, 1);
    elect(&town, 1, SENTINELS);
    publish(&town.guards[0]);
    RIG_UNTIL(town.loop, town.houses[1].fake.open == 2);
    rig_expect(town.loop, town.redis, "INCR foo", "1");
    assert_int_equal(late.done, 0);
    fake_bulk(town.houses[0].held, "late");
    RIG_UNTIL(town.loop, late.done);
    assert_string_equal(late.text, "late");
    RIG_UNTIL(town.loop, town.houses[0].fake.open == 0);
    close_town(&town);
}

/* One that was cut off and knows of an older election only is outvoted, also when it calls for attention. */
static void test_a_sentinel_that_lags(void **state) {
    (void)state;
    town_t town;
    build(&town);
    town.guards[2].names = 1; /* which once was master, and believes it still is */
    town.guards[0].epoch = town.guards[1].epoch = 2;
    town.houses[1].replica = false;
    connect_as(&town, "", NULL);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    settle(&town);
    int before = town.guards[0].questions;
    publish(&town.guards[2]);
    RIG_UNTIL(town.loop, town.guards[0].questions > before);
    rig_settle(town.loop);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    assert_int_equal(town.houses[1].fake.accepted, 0);
    close_town(&town);
}

/* All of them begin to count anew: they are believed. */
static void test_elections_that_begin_anew(void **state) {
    (void)state;
    town_t town;
    build(&town);
    for (int i = 0; i < SENTINELS; i++)
        town.guards[i].epoch = 9;
    connect_as(&town, "", NULL);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    settle(&town);
    promote(&town, 1);
    for (int i = 0; i < SENTINELS; i++)
        town.guards[i].names = 1, town.guards[i].epoch = 0;
    publish(&town.guards[1]);
    RIG_UNTIL(town.loop, town.houses[0].fake.open == 0);
    rig_expect(town.loop, town.redis, "INCR foo", "1");
    close_town(&town);
}

/* Whom they name is a replica still: it gets no command until it is a master. */
static void test_a_replica_is_named(void **state) {
    (void)state;
    town_t town;
    call_t call;
    build(&town);
    town.houses[0].replica = true;
    connect_as(&town, "", NULL);
    rig_run(town.loop, town.redis, &call, "INCR foo");
    assert_int_equal(call.command.err, ERR_UNAVAILABLE);
    assert_non_null(strstr(call.command.detail, "not the master"));
    assert_int_equal(town.houses[0].gets, 0);
    assert_false(redis_up(town.redis));
    town.houses[0].replica = false;
    rig_await(town.loop, town.redis, &call, "INCR foo", 0);
    assert_string_equal(call.text, "0");
    close_town(&town);
}

/* It became a replica and nobody said so: the command is repeated on the master. */
static void test_readonly(void **state) {
    (void)state;
    town_t town;
    open_town(&town);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    settle(&town);
    promote(&town, 2);
    elect(&town, 2, SENTINELS);
    town.houses[0].readonly = true;
    rig_expect(town.loop, town.redis, "INCR foo", "2");
    RIG_UNTIL(town.loop, town.houses[0].fake.open == 0);
    rig_expect(town.loop, town.redis, "INCR foo", "2");
    assert_int_equal(town.houses[0].gets, 2);
    close_town(&town);
}

static void test_loading(void **state) {
    (void)state;
    town_t town;
    open_town(&town);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    town.houses[0].loading = 2;
    call_t call;
    rig_prepare(&call, "GET foo");
    call.command.repeatable = true;
    assert_int_equal(redis_submit(town.redis, &call.command), 0);
    RIG_UNTIL(town.loop, call.done);
    assert_string_equal(call.text, "0");
    assert_int_equal(town.houses[0].gets, 4);
    town.houses[0].loading = 1;
    rig_run(town.loop, town.redis, &call, "INCR foo");
    assert_int_equal(call.reply_err, ERR_UNAVAILABLE);
    assert_int_equal(town.houses[0].gets, 5);
    close_town(&town);
}

/* The master dies. What was under way is reported, once; the Sentinels elect; then all is well by itself. */
static void test_failover(void **state) {
    (void)state;
    town_t town;
    call_t write, call;
    open_town(&town);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    settle(&town);
    town.houses[0].silent = true;
    rig_submit(town.redis, &write, "INCR foo");
    RIG_UNTIL(town.loop, town.houses[0].held);
    town.houses[0].reserved = fake_vanish(&town.houses[0].fake);
    RIG_UNTIL(town.loop, write.done);
    assert_int_equal(write.command.err, ERR_CLOSED);
    RIG_UNTIL(town.loop, !redis_up(town.redis));
    rig_run(town.loop, town.redis, &call, "INCR foo");
    assert_int_equal(call.command.err, ERR_UNAVAILABLE);
    assert_false(redis_up(town.redis));
    promote(&town, 1);
    elect(&town, 1, 2); /* the third has not heard of it */
    rig_await(town.loop, town.redis, &call, "INCR foo", 0);
    assert_string_equal(call.text, "1");
    assert_int_equal(write.done, 1);
    close_town(&town);
}

/* A master that serves goes on serving; whom they name when they are back is followed. */
static void test_without_sentinels(void **state) {
    (void)state;
    town_t town;
    open_town(&town);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    settle(&town);
    for (int i = 0; i < SENTINELS; i++) {
        town.guards[i].reserved = fake_vanish(&town.guards[i].fake);
        RIG_UNTIL(town.loop, town.guards[i].fake.open == 0);
    }
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    promote(&town, 1);
    elect(&town, 1, SENTINELS);
    for (int i = 0; i < SENTINELS; i++)
        fake_listen(&town.guards[i].fake, town.guards[i].fake.port);
    RIG_UNTIL(town.loop, town.houses[0].fake.open == 0);
    rig_expect(town.loop, town.redis, "INCR foo", "1");
    close_town(&town);
}

static void test_nobody_is_there(void **state) {
    (void)state;
    town_t town;
    call_t call;
    build(&town);
    for (int i = 0; i < SENTINELS; i++)
        town.guards[i].reserved = fake_vanish(&town.guards[i].fake);
    connect_as(&town, "", NULL);
    rig_run(town.loop, town.redis, &call, "INCR foo");
    assert_int_equal(call.command.err, ERR_UNAVAILABLE);
    fake_listen(&town.guards[1].fake, town.guards[1].fake.port);
    rig_await(town.loop, town.redis, &call, "INCR foo", 0);
    assert_string_equal(call.text, "0"); /* one is enough */
    close_town(&town);
}

/* One that hangs holds up nobody. */
static void test_a_sentinel_that_hangs(void **state) {
    (void)state;
    town_t town;
    build(&town);
    town.guards[0].silent = true;
    connect_as(&town, "", NULL);
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    RIG_UNTIL(town.loop, town.guards[1].subscribed && town.guards[2].subscribed);
    promote(&town, 1);
    elect(&town, 1, SENTINELS);
    publish(&town.guards[1]);
    RIG_UNTIL(town.loop, town.houses[0].fake.open == 0);
    rig_expect(town.loop, town.redis, "INCR foo", "1");
    close_town(&town);
}

static void test_an_unknown_name(void **state) {
    (void)state;
    town_t town;
    call_t call;
    build(&town);
    for (int i = 0; i < SENTINELS; i++)
        town.guards[i].clueless = true;
    connect_as(&town, "", NULL);
    rig_prepare(&call, "INCR foo");
    call.command.deadline_ms = loop_now(town.loop) + 50;
    assert_int_equal(redis_submit(town.redis, &call.command), 0);
    RIG_UNTIL(town.loop, call.done);
    assert_int_equal(call.command.err, ERR_TIMEOUT);
    for (int i = 0; i < SENTINELS; i++)
        town.guards[i].clueless = false;
    rig_expect(town.loop, town.redis, "INCR foo", "0");
    close_town(&town);
}

static void test_replicas(void **state) {
    (void)state;
    town_t town;
    build(&town);
    town.listed = 2;
    connect_as(&town, "?replicas=yes", NULL);
    rig_expect(town.loop, town.redis, "GET foo", "0");
    rig_await_read(town.loop, town.redis, "GET foo", "2");
    rig_expect(town.loop, town.redis, "GET foo", "0");
    town.houses[2].loading = 1;
    rig_expect_read(town.loop, town.redis, "GET foo", "0");
    /* The Sentinels say that it is down. */
    for (int i = 0; i < SENTINELS; i++)
        town.guards[i].bad_replica = true;
    publish(&town.guards[0]);
    RIG_UNTIL(town.loop, town.houses[2].fake.open == 0);
    rig_expect_read(town.loop, town.redis, "GET foo", "0");
    close_town(&town);
}

static void test_a_url_for_reading(void **state) {
    (void)state;
    town_t town;
    build(&town);
    connect_as(&town, "", town.houses[2].fake.url);
    rig_expect(town.loop, town.redis, "GET foo", "0");
    rig_await_read(town.loop, town.redis, "GET foo", "2");
    town.houses[2].reserved = fake_vanish(&town.houses[2].fake);
    RIG_UNTIL(town.loop, town.houses[2].fake.open == 0);
    rig_expect_read(town.loop, town.redis, "GET foo", "0");
    close_town(&town);
}

static void test_close_at_any_time(void **state) {
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        town_t town;
        call_t calls[2];
        build(&town);
        town.listed = 2;
        town.guards[0].silent = turns % 2;
        town.houses[0].silent = turns % 3 == 0;
        connect_as(&town, "?replicas=yes", NULL);
        rig_submit(town.redis, &calls[0], "INCR foo");
        for (int i = 0; i < turns; i++)
            loop_turn(town.loop, 1);
        elect(&town, 1, SENTINELS);
        promote(&town, 1);
        publish(&town.guards[1]);
        rig_submit(town.redis, &calls[1], "INCR foo");
        for (int i = 0; i < turns / 2; i++)
            loop_turn(town.loop, 1);
        close_town(&town);
        for (int i = 0; i < 2; i++)
            assert_int_equal(calls[i].done, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_master_is_asked_for_its_role),
        cmocka_unit_test(test_a_switch),
        cmocka_unit_test(test_a_switch_waits_for_answers),
        cmocka_unit_test(test_a_sentinel_that_lags),
        cmocka_unit_test(test_elections_that_begin_anew),
        cmocka_unit_test(test_a_replica_is_named),
        cmocka_unit_test(test_readonly),
        cmocka_unit_test(test_loading),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_without_sentinels),
        cmocka_unit_test(test_nobody_is_there),
        cmocka_unit_test(test_a_sentinel_that_hangs),
        cmocka_unit_test(test_an_unknown_name),
        cmocka_unit_test(test_replicas),
        cmocka_unit_test(test_a_url_for_reading),
        cmocka_unit_test(test_close_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
