/* test_redis_slots.c: slots of keys, answers to CLUSTER SLOTS, redirections. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/err.h"
#include "redis/crc16.h"
#include "redis/slots.h"

static const redis_endpoint_t FROM = {"asked.test", 7000};

static redisReply *parse(const char *text) {
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    redisReaderFeed(reader, text, strlen(text));
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static int take(redis_slots_t *slots, const char *text) {
    redisReply *reply = parse(text);
    int err = redis_slots_take(slots, reply, &FROM);
    freeReplyObject(reply);
    return err;
}

static const char *master_of(const redis_slots_t *slots, int slot) {
    static char text[REDIS_HOST_MAX + 16];
    if (!slots->of[slot]) return "nobody";
    redis_endpoint_text(&slots->of[slot]->master->at, text, sizeof text);
    return text;
}

static void test_checksum(void **state) {
    (void)state;
    assert_int_equal(redis_crc16("123456789", 9), 0x31c3);
    assert_int_equal(redis_crc16("", 0), 0);
}

/* Against what a server answers to CLUSTER KEYSLOT. */
static void test_slots_of_keys(void **state) {
    (void)state;
    static const struct {
        const char *key;
        int slot;
    } KEYS[] = {
        {"foo", 12182},
        {"somekey", 11058},
        {"foo{hash_tag}", 2515},
        {"bar{hash_tag}", 2515},
        {"hash_tag", 2515},
        {"{}foo", 9500},
        {"{user1000}.following", 3443},
        {"user1000", 3443},
        {"foo{{bar}}zap", 4015},
        {"{bar", 4015},
        {"foo{bar}{zap}", 5061},
        {"bar", 5061},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        assert_int_equal(redis_slot(span_of(KEYS[i].key)), KEYS[i].slot);
    assert_int_equal(redis_slot((span_t){NULL, 0}), 0);
    /* A closing brace beyond the key's end is not its own. */
    assert_int_equal(redis_slot((span_t){"{bar}", 4}), 4015);
}

#define TWO_MASTERS                                                                                \
    "*2\r\n"                                                                                       \
    "*4\r\n:0\r\n:8191\r\n*3\r\n$2\r\nm1\r\n:7001\r\n$1\r\na\r\n*3\r\n$2\r\nr1\r\n:7002\r\n$1\r\n" \
    "b\r\n"                                                                                        \
    "*3\r\n:8192\r\n:16383\r\n*3\r\n$2\r\nm2\r\n:7003\r\n$1\r\nc\r\n"

static void test_answer(void **state) {
    (void)state;
    redis_slots_t slots;
    redis_slots_create(&slots);
    assert_int_equal(take(&slots, TWO_MASTERS), 0);
    assert_string_equal(master_of(&slots, 0), "m1:7001");
    assert_string_equal(master_of(&slots, 8191), "m1:7001");
    assert_string_equal(master_of(&slots, 8192), "m2:7003");
    assert_string_equal(master_of(&slots, 16383), "m2:7003");
    assert_int_equal(slots.of[0]->replica_count, 1);
    assert_string_equal(slots.of[0]->replicas[0]->at.host, "r1");
    assert_ptr_equal(slots.of[0], slots.of[8191]);
    redis_slots_destroy(&slots);
}

/* One master with many ranges is one shard; its replicas are not counted twice. */
static void test_ranges_of_one_master(void **state) {
    (void)state;
    redis_slots_t slots;
    redis_slots_create(&slots);
    assert_int_equal(
        take(&slots, "*2\r\n"
                     "*4\r\n:0\r\n:1\r\n*2\r\n$1\r\nm\r\n:1\r\n*2\r\n$1\r\nr\r\n:2\r\n"
                     "*4\r\n:5\r\n:5\r\n*2\r\n$1\r\nm\r\n:1\r\n*2\r\n$1\r\nr\r\n:2\r\n"),
        0);
    assert_ptr_equal(slots.of[0], slots.of[5]);
    assert_int_equal(slots.of[0]->replica_count, 1);
    assert_string_equal(master_of(&slots, 4), "nobody");
    redis_slots_destroy(&slots);
}

/* A server may leave out its own name, or not know another's. */
static void test_names_that_are_missing(void **state) {
    (void)state;
    redis_slots_t slots;
    redis_slots_create(&slots);
    assert_int_equal(take(&slots, "*3\r\n*3\r\n:0\r\n:0\r\n*2\r\n$0\r\n\r\n:7000\r\n"
                                  "*3\r\n:1\r\n:1\r\n*2\r\n$-1\r\n:7009\r\n"
                                  "*3\r\n:2\r\n:2\r\n*2\r\n$1\r\n?\r\n:7000\r\n"),
        0);
    assert_string_equal(master_of(&slots, 0), "asked.test:7000");
    assert_string_equal(master_of(&slots, 1), "asked.test:7009");
    assert_string_equal(master_of(&slots, 2), "nobody");
    redis_slots_destroy(&slots);
}

static void test_nonsense_changes_nothing(void **state) {
    (void)state;
    static const char *const TEXTS[] = {
        "*0\r\n",
        "+OK\r\n",
        "-ERR This instance has cluster support disabled\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nm\r\n:1\r\n",
        "*1\r\n*3\r\n:-1\r\n:5\r\n*2\r\n$1\r\nm\r\n:1\r\n",
        "*1\r\n*3\r\n:6\r\n:5\r\n*2\r\n$1\r\nm\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\nm\r\n:0\r\n",
        "*1\r\n*3\r\n$1\r\n0\r\n:5\r\n*2\r\n$1\r\nm\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n+m\r\n",
        "*2\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\nm\r\n:1\r\n+x\r\n",
    };
    redis_slots_t slots;
    redis_slots_create(&slots);
    assert_int_equal(take(&slots, TWO_MASTERS), 0);
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        assert_int_equal(take(&slots, TEXTS[i]), ERR_INVALID);
        assert_string_equal(master_of(&slots, 0), "m1:7001");
        assert_string_equal(master_of(&slots, 16383), "m2:7003");
    }
    redis_slots_destroy(&slots);
}

/* A member keeps its memory, and so its connections, whatever its role. */
static void test_a_new_answer(void **state) {
    (void)state;
    redis_slots_t slots;
    redis_slots_create(&slots);
    assert_int_equal(take(&slots, TWO_MASTERS), 0);
    redis_member_t *replica = slots.of[0]->replicas[0], *master = slots.of[0]->master;
    assert_int_equal(take(&slots, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$2\r\nr1\r\n:7002\r\n"), 0);
    assert_ptr_equal(slots.of[0]->master, replica);
    assert_ptr_equal(replica->shard, slots.of[16383]);
    assert_true(replica->listed);
    assert_false(master->listed);
    assert_null(master->shard);
    redis_slots_forget(&slots, master);
    redis_endpoint_t at = {"m1", 7001};
    redis_member_t *again = redis_slots_member(&slots, &at);
    assert_false(again->listed);
    assert_ptr_equal(again, redis_slots_member(&slots, &at));
    redis_slots_destroy(&slots);
}

static void test_move(void **state) {
    (void)state;
    redis_endpoint_t known = {"m2", 7003}, unknown = {"m9", 7009};
    redis_slots_t slots;
    redis_slots_create(&slots);
    assert_int_equal(take(&slots, TWO_MASTERS), 0);
    assert_int_equal(redis_slots_move(&slots, 5, &known), 0);
    assert_ptr_equal(slots.of[5], slots.of[16383]);
    assert_int_equal(redis_slots_move(&slots, 6, &unknown), 0);
    assert_string_equal(master_of(&slots, 6), "m9:7009");
    assert_string_equal(master_of(&slots, 7), "m1:7001");
    assert_int_equal(take(&slots, TWO_MASTERS), 0);
    assert_string_equal(master_of(&slots, 6), "m1:7001");
    redis_slots_destroy(&slots);
}

static bool redirected(const char *text, int *slot, char *place, size_t size) {
    redis_endpoint_t to;
    redisReply *reply = parse(text);
    bool is = redis_slots_redirection(reply, &FROM, slot, &to);
    freeReplyObject(reply);
    if (is) redis_endpoint_text(&to, place, size);
    return is;
}

static void test_redirections(void **state) {
    (void)state;
    char place[REDIS_HOST_MAX + 16];
    int slot;
    assert_true(redirected("-MOVED 3999 127.0.0.1:6381\r\n", &slot, place, sizeof place));
    assert_int_equal(slot, 3999);
    assert_string_equal(place, "127.0.0.1:6381");
    assert_true(redirected("-ASK 0 ::1:6381\r\n", &slot, place, sizeof place));
    assert_string_equal(place, "[::1]:6381");
    assert_true(redirected("-MOVED 16383 :6381\r\n", &slot, place, sizeof place));
    assert_string_equal(place, "asked.test:6381");
    static const char *const TEXTS[] = {"-MOVED\r\n", "-MOVED 1\r\n", "-MOVED 16384 a:1\r\n",
        "-MOVED x a:1\r\n", "-MOVED 1 a\r\n", "-MOVED 1 a:0\r\n", "-MOVED 1 a:65536\r\n",
        "-MOVED 1 ?:1\r\n", "-ERR MOVED 1 a:1\r\n", "$14\r\nMOVED 1 host:1\r\n"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        assert_false(redirected(TEXTS[i], &slot, place, sizeof place));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_slots_of_keys),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_ranges_of_one_master),
        cmocka_unit_test(test_names_that_are_missing),
        cmocka_unit_test(test_nonsense_changes_nothing),
        cmocka_unit_test(test_a_new_answer),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_redirections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
