/* test_redis_verbs.c: every command is routed by its own key, whatever its name's case, and only reads are repeated. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "redis/verbs.h"

#define MOST 10

/* The words of a line as a command. */
static int words(const char *line, span_t *argv) {
    span_t rest = span_of(line);
    int argc = 0;
    while (rest.len && argc < MOST)
        argv[argc++] = span_cut(&rest, ' ');
    return argc;
}

static void expect_key(const char *line, const char *key) {
    span_t argv[MOST];
    int argc = words(line, argv), at = verb_key(argv, argc);
    if (!key) {
        assert_int_equal(at, 0);
        return;
    }
    assert_in_range(at, 1, argc - 1);
    if (!span_eq(argv[at], span_of(key))) fail_msg("%s: not %s", line, key);
}

static void keys_are_found(void **state) {
    (void)state;
    expect_key("GET k", "k");
    expect_key("zadd k 1 m", "k");
    expect_key("SOME.MODULE k v", "k");
    expect_key("PING", NULL);
    expect_key("PUBLISH channel text", "channel");
    expect_key("EVALSHA digest 1 k v", "k");
    expect_key("EVAL text 0 v", NULL);
    expect_key("eval text 2 k l v", "k");
    expect_key("OBJECT ENCODING k", "k");
    expect_key("XGROUP CREATE k g 0", "k");
    expect_key("BITOP AND k a b", "k");
    expect_key("ZUNION 2 k l", "k");
    expect_key("BLMPOP 1 2 k l LEFT", "k");
    expect_key("XREAD COUNT 1 streams k 0", "k");
    expect_key("XREADGROUP GROUP STREAMS c NOACK BLOCK 1 STREAMS k >", "k");
}

static void broken_commands_have_no_key(void **state) {
    (void)state;
    expect_key("GET", NULL);
    expect_key("EVAL text", NULL);
    expect_key("EVAL text many k", NULL);
    expect_key("XREAD STREAMS", NULL);
    expect_key("XREADGROUP GROUP", NULL);
}

static void only_reads_may_be_repeated(void **state) {
    static const char *const READS[] = {"GET", "hgetall", "ZRangeByScore", "XREAD", "EVALSHA_RO"};
    static const char *const WRITES[] = {"SET", "INCR", "EVALSHA", "XREADGROUP", "GETDEL", "GETEX",
        "SORT", "NOBODY.KNOWS", "A name that is far longer than any command's"};
    (void)state;
    for (size_t i = 0; i < sizeof READS / sizeof *READS; i++)
        assert_true(verb_flags(span_of(READS[i])) & VERB_READS);
    for (size_t i = 0; i < sizeof WRITES / sizeof *WRITES; i++)
        assert_false(verb_flags(span_of(WRITES[i])) & VERB_READS);
    assert_int_equal(verb_flags(SPAN("GET\0")), 0);
}

static void scores_are_pairs_when_asked_for(void **state) {
    span_t argv[MOST];
    (void)state;
    assert_true(verb_shape(argv, words("ZRANGE k 0 -1 WithScores", argv)) & VERB_SCORED);
    assert_false(verb_shape(argv, words("ZRANGE k 0 -1", argv)) & VERB_SCORED);
    assert_false(verb_shape(argv, words("SET k WITHSCORES", argv)) & VERB_SCORED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found),
        cmocka_unit_test(broken_commands_have_no_key),
        cmocka_unit_test(only_reads_may_be_repeated),
        cmocka_unit_test(scores_are_pairs_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
