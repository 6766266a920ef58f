/* test_redis_gate.c: what the gate asks leaves in one write, of a Cluster in one for each server, and side by side. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "bindings/redis_rig.h"
#include "redis/redis_gate.h"
#include "redis/slots.h"

#define HALF (REDIS_SLOTS / 2)
#define SESSION "session-of-the-gate"
#define BUCKET "/api/products/:id"

typedef struct house {
    fake_t fake;
    struct house *all;
    fake_conn_t *conn; /* that asked last */
    char answers[200]; /* what is owed */
    int asked, first_read, last_read;
} house_t;

static void say_slots(const house_t *all, fake_conn_t *conn) {
    char text[300];
    snprintf(text, sizeof text,
        "*2\r\n*3\r\n:0\r\n:%d\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n"
        "*3\r\n:%d\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n",
        HALF - 1, all[0].fake.port, HALF, all[1].fake.port);
    fake_say(conn, text);
}

/* A bucket gets 250, everything else its name back. */
static void serve(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    house_t *house = fake->data;
    if (strcmp(fake_word(command, 0), "CLUSTER") == 0) {
        say_slots(house->all, conn);
        return;
    }
    bool get = strcmp(fake_word(command, 0), "GET") == 0;
    const char *key = fake_word(command, 1);
    size_t used = strlen(house->answers);
    char *end = house->answers + used;
    if (get)
        snprintf(end, sizeof house->answers - used, "$%zu\r\n%s\r\n", strlen(key), key);
    else
        snprintf(end, sizeof house->answers - used, ":250\r\n");
    if (!house->asked++) house->first_read = fake->reads;
    house->last_read = fake->reads;
    house->conn = conn;
}

static void answer(house_t *house) {
    if (house->conn) fake_say(house->conn, house->answers);
    house->answers[0] = '\0';
    house->conn = NULL;
}

typedef struct visit {
    cache_gate_t gate;
    int done;
    char config[100], session[100];
} visit_t;

static void on_gate(cache_gate_t *gate) {
    visit_t *visit = gate->data;
    visit->done++;
    snprintf(visit->config, sizeof visit->config, "%.*s", (int)gate->config_text.len,
        gate->config_text.ptr);
    snprintf(visit->session, sizeof visit->session, "%.*s", (int)gate->session_text.len,
        gate->session_text.ptr);
}

static bool is_upper(const char *format, const char *tenant) {
    char key[200];
    snprintf(key, sizeof key, format, tenant);
    return redis_slot(span_of(key)) >= HALF;
}

/* A shop whose settings and bucket are with one server and whose session is with the other. */
static void find_tenant(char *tenant, size_t size) {
    for (int i = 0;; i++) {
        snprintf(tenant, size, "tenant-%d", i);
        bool upper = is_upper("config:%s", tenant);
        if (is_upper("ratelimit:%s:" BUCKET, tenant) == upper &&
            is_upper("session:%s:" SESSION, tenant) != upper)
            return;
    }
}

static redis_t *open_houses(loop_t *loop, house_t *houses) {
    char url[100];
    for (int i = 0; i < 2; i++) {
        houses[i] = (house_t){.all = houses};
        fake_start(&houses[i].fake, loop);
        houses[i].fake.on_command = serve;
        houses[i].fake.data = &houses[i];
    }
    snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d", houses[0].fake.port);
    redis_t *redis = rig_client(loop, url);
    RIG_UNTIL(loop, houses[0].fake.open >= 2 && houses[1].fake.open >= 2 && redis_up(redis));
    rig_settle(loop);
    return redis;
}

static void enter(redis_t *redis, visit_t *visit, const char *tenant) {
    *visit = (visit_t){.gate = {.tenant = span_of(tenant),
                           .session = SPAN(SESSION),
                           .bucket = SPAN(BUCKET),
                           .interval_us = 100,
                           .capacity_us = 1000,
                           .wait_ms = 60000,
                           .done = on_gate,
                           .data = visit}};
    assert_int_equal(redis_gate(redis, &visit->gate), 0);
}

static void check_told(const visit_t *visit) {
    assert_int_equal(visit->done, 1);
    assert_int_equal(visit->gate.rate_err | visit->gate.config_err | visit->gate.session_err, 0);
    assert_int_equal(visit->gate.ahead_us, 250);
    assert_memory_equal(visit->config, "config:tenant-", 14);
    assert_memory_equal(visit->session, "session:tenant-", 15);
}

/* Two connections, and yet all leaves together: nothing is asked after an answer. */
static void test_one_round_trip(void **state) {
    (void)state;
    house_t house = {.asked = 0};
    loop_t *loop = loop_new();
    visit_t visit;
    fake_start(&house.fake, loop);
    house.fake.on_command = serve;
    house.fake.data = &house;
    redis_t *redis = rig_client(loop, house.fake.url);
    RIG_UNTIL(loop, house.fake.open == 2 && redis_up(redis));
    rig_settle(loop);
    int reads = house.fake.reads;
    enter(redis, &visit, "tenant-1");
    RIG_UNTIL(loop, house.asked);
    assert_int_equal(house.asked, 3);
    assert_int_equal(house.fake.reads, reads + 1);
    answer(&house);
    RIG_UNTIL(loop, visit.done);
    check_told(&visit);
    rig_settle(loop);
    assert_int_equal(house.asked, 3);
    loop_delete(loop);
}

static void test_one_write_for_each_server(void **state) {
    (void)state;
    static house_t houses[2];
    char tenant[40];
    visit_t visit;
    loop_t *loop = loop_new();
    redis_t *redis = open_houses(loop, houses);
    find_tenant(tenant, sizeof tenant);
    enter(redis, &visit, tenant);
    /* Both are asked before either has answered. */
    RIG_UNTIL(loop, houses[0].asked + houses[1].asked == 3);
    assert_int_equal(visit.done, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(houses[i].first_read, houses[i].last_read);
    assert_true(houses[0].asked && houses[1].asked);
    answer(&houses[0]);
    rig_settle(loop);
    assert_int_equal(visit.done, 0);
    answer(&houses[1]);
    RIG_UNTIL(loop, visit.done);
    check_told(&visit);
    loop_delete(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_round_trip), cmocka_unit_test(test_one_write_for_each_server)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
