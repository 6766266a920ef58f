/* test_redis_value.c: what a server answers, as bytes of RESP2 or RESP3, is the same Lua value. */
#include "lua/bench.h"
#include "redis/redis_value.h"
#include "redis/verbs.h"

/* What is to be pushed, and how many results it made. */
typedef struct answer {
    buf_t values;
    int results;
} answer_t;

static redisReply *parse(const char *bytes, size_t len) {
    void *reply = NULL;
    redisReader *reader = redisReaderCreate();
    redisReaderFeed(reader, bytes, len);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static int push(lua_State *L) {
    answer_t *answer = lua_touserdata(L, 1);
    size_t at = 0;
    answer->results = redis_value_results(L, &answer->values, &at);
    assert_int_equal(at, answer->values.len);
    for (int i = answer->results; i > 0; i--) {
        char name[] = {'r', (char)('0' + i), '\0'};
        lua_setglobal(L, name);
    }
    return 0;
}

/* Sets the globals r1, r2, r3 to the results, and evaluates the expression, which must hold. */
static void expect(bench_t *bench, span_t bytes, unsigned flags, const char *expression) {
    answer_t answer;
    char script[600];
    run_t run;
    redisReply *reply = parse(bytes.ptr, bytes.len);
    buf_create(&answer.values);
    assert_int_equal(redis_value_pack(&answer.values, reply, flags), 0);
    freeReplyObject(reply);
    assert_int_equal(vm_protect(bench->vm, push, &answer, NULL, 0), 0);
    buf_destroy(&answer.values);
    snprintf(
        script, sizeof script, "return (%s) and 'holds' or 'fails: ' .. tostring(r1)", expression);
    bench_run(bench, &run, script);
    if (strcmp(run.text, "holds") != 0) fail_msg("%s: %s", expression, run.text);
}

static void scalars(void **state) {
    bench_t *bench = *state;
    expect(bench, SPAN("$3\r\na\0b\r\n"), 0, "r1 == 'a\\0b'");
    expect(bench, SPAN("+OK\r\n"), 0, "r1 == 'OK'");
    expect(bench, SPAN("=7\r\ntxt:abc\r\n"), 0, "r1 == 'abc'");
    expect(bench, SPAN("#t\r\n"), 0, "r1 == true");
    expect(bench, SPAN("#f\r\n"), 0, "r1 == false");
    expect(bench, SPAN(",1.5\r\n"), 0, "r1 == 1.5");
    expect(bench, SPAN("$3\r\n1.5\r\n"), VERB_SCORE, "r1 == 1.5");
    expect(bench, SPAN("$3\r\ninf\r\n"), VERB_SCORE, "r1 == math.huge");
}

static void whole_numbers(void **state) {
    bench_t *bench = *state;
    expect(bench, SPAN(":9007199254740992\r\n"), 0, "r1 == 9007199254740992");
    expect(bench, SPAN(":-9007199254740992\r\n"), 0, "r1 == -9007199254740992");
    expect(bench, SPAN(":9007199254740993\r\n"), 0,
        "decimal.is(r1) and tostring(r1) == '9007199254740993'");
    expect(bench, SPAN("(3492890328409238509324850943850943825024385\r\n"), 0,
        "tostring(r1) == '3492890328409238509324850943850943825024385'");
}

static void nothing(void **state) {
    bench_t *bench = *state;
    expect(bench, SPAN("$-1\r\n"), 0, "r1 == nil");
    expect(bench, SPAN("*-1\r\n"), 0, "r1 == nil");
    expect(bench, SPAN("_\r\n"), 0, "r1 == nil");
    expect(bench, SPAN("*2\r\n$-1\r\n:1\r\n"), 0, "r1[1] == json.null and r1[2] == 1 and #r1 == 2");
    expect(bench, SPAN("*0\r\n"), 0, "type(r1) == 'table' and next(r1) == nil");
}

static void errors(void **state) {
    bench_t *bench = *state;
    expect(bench, SPAN("-WRONGTYPE no\r\n"), 0,
        "r1 == nil and r2 == 'WRONGTYPE no' and r3 == 'internal'");
    expect(bench, SPAN("*1\r\n-ERR inside\r\n"), 0,
        "r1[1].error == 'internal' and r1[1].detail == 'ERR inside'");
}

static void maps_are_alike(void **state) {
    bench_t *bench = *state;
    const char *same = "r1.a == '1' and r1.b == '2'";
    expect(bench, SPAN("*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"), VERB_MAP, same);
    expect(bench, SPAN("%2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"), VERB_MAP, same);
    const char *stream = "r1.s[1][1] == '1-0' and r1.s[1][2][2] == 'v'";
    expect(bench,
        SPAN("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"),
        VERB_MAP, stream);
    expect(bench, SPAN("%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"),
        VERB_MAP, stream);
}

static void scores_are_alike(void **state) {
    bench_t *bench = *state;
    const char *same = "#r1 == 1 and r1[1][1] == 'm' and r1[1][2] == 2.5";
    expect(bench, SPAN("*2\r\n$1\r\nm\r\n$3\r\n2.5\r\n"), VERB_SCORED, same);
    expect(bench, SPAN("*1\r\n*2\r\n$1\r\nm\r\n,2.5\r\n"), VERB_SCORED, same);
}

static void what_nests_too_deep_is_refused(void **state) {
    char bytes[2000];
    size_t len = 0;
    buf_t values;
    (void)state;
    for (int i = 0; i < REDIS_VALUE_DEPTH + 1; i++)
        len += (size_t)snprintf(bytes + len, sizeof bytes - len, "*1\r\n");
    len += (size_t)snprintf(bytes + len, sizeof bytes - len, ":1\r\n");
    redisReply *reply = parse(bytes, len);
    buf_create(&values);
    assert_int_equal(redis_value_pack(&values, reply, 0), ERR_TOO_LARGE);
    assert_int_equal(values.len, 0);
    buf_destroy(&values);
    freeReplyObject(reply);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scalars, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(whole_numbers, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(nothing, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(errors, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(maps_are_alike, bench_open, bench_close),
        cmocka_unit_test_setup_teardown(scores_are_alike, bench_open, bench_close),
        cmocka_unit_test(what_nests_too_deep_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
