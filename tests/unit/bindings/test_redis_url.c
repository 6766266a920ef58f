/* test_redis_url.c: every form of a Redis URL, and that no complaint repeats a secret. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/err.h"
#include "redis/url.h"

static redis_url_t url;
static char why[200];

static int parse(const char *text) {
    why[0] = '\0';
    return redis_url_parse(span_of(text), &url, why, sizeof why);
}

static void is_at(size_t i, const char *host, int port) {
    assert_string_equal(url.at[i].host, host);
    assert_int_equal(url.at[i].port, port);
}

static void test_one_server(void **state) {
    (void)state;
    assert_int_equal(parse("redis://cache.example"), 0);
    assert_int_equal(url.kind, REDIS_SINGLE);
    assert_false(url.tls);
    is_at(0, "cache.example", 6379);
    assert_int_equal(parse("redis://"), 0);
    is_at(0, "127.0.0.1", 6379);
    assert_int_equal(parse("rediss://h:6380/7"), 0);
    assert_true(url.tls);
    is_at(0, "h", 6380);
    assert_int_equal(url.db, 7);
    assert_int_equal(parse("redis://[::1]:6381/2?resp=2"), 0);
    is_at(0, "::1", 6381);
    assert_true(url.resp2);
    assert_int_equal(parse("redis://[fe80::1]"), 0);
    is_at(0, "fe80::1", 6379);
}

static void test_credentials(void **state) {
    (void)state;
    assert_int_equal(parse("redis://shop:s%3Ac%2Fr%40t@h"), 0);
    assert_string_equal(url.user, "shop");
    assert_string_equal(url.password, "s:c/r@t");
    is_at(0, "h", 6379);
    assert_int_equal(parse("redis://:secret@h:1"), 0);
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "secret");
    assert_int_equal(parse("redis://u:a@b@h"), 0);
    assert_string_equal(url.password, "a@b");
    redis_url_wipe(&url);
    assert_string_equal(url.password, "");
}

static void test_unix_socket(void **state) {
    (void)state;
    assert_int_equal(parse("unix:///run/redis/redis.sock?db=3"), 0);
    is_at(0, "/run/redis/redis.sock", 0);
    assert_int_equal(url.db, 3);
    assert_int_equal(parse("unix://shop:pw@/run/r%20s"), 0);
    is_at(0, "/run/r s", 0);
    assert_string_equal(url.user, "shop");
}

static void test_groups(void **state) {
    (void)state;
    assert_int_equal(parse("redis+cluster://:pw@a:7000,b,[::1]:7002?replicas=yes"), 0);
    assert_int_equal(url.kind, REDIS_CLUSTER);
    assert_int_equal(url.count, 3);
    is_at(1, "b", 6379);
    is_at(2, "::1", 7002);
    assert_true(url.replicas);
    assert_int_equal(
        parse("rediss+sentinel://u:p@s1,s2:26380/shop/4?sentinel_user=w&sentinel_password=x%26y"),
        0);
    assert_int_equal(url.kind, REDIS_SENTINEL);
    assert_true(url.tls);
    is_at(0, "s1", 26379);
    is_at(1, "s2", 26380);
    assert_string_equal(url.master, "shop");
    assert_int_equal(url.db, 4);
    assert_string_equal(url.sentinel_user, "w");
    assert_string_equal(url.sentinel_password, "x&y");
}

static void test_tls_files(void **state) {
    (void)state;
    assert_int_equal(
        parse("rediss://h?ca=/etc/ca.pem&cert=/c.pem&key=/k.pem&name=redis.example"), 0);
    assert_string_equal(url.ca, "/etc/ca.pem");
    assert_string_equal(url.cert, "/c.pem");
    assert_string_equal(url.key, "/k.pem");
    assert_string_equal(url.name, "redis.example");
}

static void test_what_is_refused(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "",
        "http://:hunter2@h",
        "redis://u:hunter2@h:0",
        "redis://u:hunter2@h:65536",
        "redis://u:hunter2@h:x",
        "redis://u:hunter2@h/x",
        "redis://u:hunter2@h/-1",
        "redis://u:hunter2@h/99999999",
        "redis://u:hunter2%@h",
        "redis://u:hunter2%0@h",
        "redis://u:hunter2%00@h",
        "redis://u@h?x=hunter2",
        "redis://u:hunter2@h?resp=4",
        "redis://u:hunter2@h?replicas=maybe",
        "redis://u:hunter2@h?hunter2",
        "redis://u:hunter2@h?ca=/x",
        "redis://u:hunter2@h?sentinel_password=hunter2",
        "rediss://u:hunter2@h?cert=/x",
        "redis://u:hunter2@[::1]x",
        "unix://u:hunter2@run/socket",
        "redis+cluster://u:hunter2@",
        "redis+cluster://u:hunter2@a,,b",
        "redis+cluster://u:hunter2@a/1",
        "redis+cluster://u:hunter2@1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
        "redis+sentinel://u:hunter2@a",
        "redis+sentinel://u:hunter2@a/",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        if (parse(BAD[i]) == 0) fail_msg("%s was taken", BAD[i]);
        assert_non_null(strstr(why, "the Redis URL: "));
        assert_null(strstr(why, "hunter2"));
        assert_string_equal(url.password, "");
    }
}

static void test_endpoint_text(void **state) {
    (void)state;
    char text[64];
    redis_endpoint_text(&(redis_endpoint_t){"::1", 7}, text, sizeof text);
    assert_string_equal(text, "[::1]:7");
    redis_endpoint_text(&(redis_endpoint_t){"/run/s", 0}, text, sizeof text);
    assert_string_equal(text, "/run/s");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_server),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_tls_files),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_endpoint_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
