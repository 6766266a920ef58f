/* test_gate.c: what the gate asks of the cache role, on both engines: exact, complete, ended once, and let go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/cache_rig.h"

#define DAY_US UINT64_C(86400000000)
#define MOST 40

typedef struct told {
    cache_gate_t op;
    int done;
    char config[64], session[64];
} told_t;

static cache_rig_t rig;
static told_t tolds[MOST];

static void copy(char out[64], span_t text) {
    if (text.ptr)
        snprintf(out, 64, "%.*s", (int)text.len, text.ptr);
    else
        snprintf(out, 64, "absent");
}

static void on_told(cache_gate_t *op) {
    told_t *told = LIST_OWNER(op, told_t, op);
    told->done++;
    copy(told->config, op->config_text);
    copy(told->session, op->session_text);
}

static told_t *prepare(int i, const char *session, const char *bucket, uint64_t burst) {
    told_t *told = &tolds[i];
    *told = (told_t){.op = {.tenant = SPAN("t1"),
                         .session = span_of(session),
                         .bucket = span_of(bucket),
                         .interval_us = DAY_US,
                         .capacity_us = DAY_US * burst,
                         .wait_ms = 30000,
                         .done = on_told}};
    return told;
}

static void enter(int engine, told_t *told) {
    const cache_ops_t *ops = &rig.ops[engine];
    assert_int_equal(ops->gate(ops->engine, &told->op), 0);
    assert_int_equal(told->done, 0);
}

static told_t *ask(const char *session, const char *bucket, uint64_t burst) {
    told_t *told = prepare(0, session, bucket, burst);
    enter(0, told);
    RIG_UNTIL(rig.loop, told->done);
    return told;
}

static int fill_sqlite(void **state) {
    (void)state;
    cache_rig_sqlite(&rig);
    return 0;
}

static int fill_redis(void **state) {
    (void)state;
    cache_rig_redis(&rig);
    return 0;
}

static int empty(void **state) {
    (void)state;
    cache_rig_empty(&rig);
    return 0;
}

/* ttl_s 0: it has expired. */
static void store(const char *key, const char *text, int ttl_s) {
    char line[300];
    const char *rest = strchr(key, ':');
    if (rig.db) {
        snprintf(line, sizeof line, "INSERT INTO texts VALUES ('t1', '%s', '%s', now_ms() + %d)",
            key, text, ttl_s * 1000);
        cache_rig_sql(&rig, line);
    } else if (ttl_s) {
        call_t call;
        snprintf(line, sizeof line, "SET %.*s:t1%s %s",
            (int)(rest ? rest - key : (long)strlen(key)), key, rest ? rest : "", text);
        rig_run(rig.loop, rig.redis[0], &call, line);
    }
}

static void exactly_as_many_pass_as_the_bucket_holds(void **state) {
    (void)state;
    int passed = 0, done = 0;
    for (int i = 0; i < MOST; i++)
        enter(i % 2, prepare(i, "", "/api/products", 7));
    while (done < MOST) {
        loop_turn(rig.loop, 1000);
        done = 0;
        for (int i = 0; i < MOST; i++)
            done += tolds[i].done;
    }
    for (int i = 0; i < MOST; i++) {
        assert_int_equal(tolds[i].done, 1);
        assert_int_equal(tolds[i].op.rate_err, 0);
        passed += tolds[i].op.ahead_us > 0;
    }
    assert_int_equal(passed, 7);
    assert_true(ask("", "/api/other", 7)->op.ahead_us > 0);
}

static void texts_come_along(void **state) {
    (void)state;
    told_t *told = ask("s1", "", 0);
    assert_int_equal(told->op.config_err, 0);
    assert_string_equal(told->config, "absent");
    assert_string_equal(told->session, "absent");
    store("config", "{\"name\":1}", 60);
    store("session:s1", "{\"user\":1}", 60);
    store("session:s2", "{\"user\":2}", 0);
    told = ask("s1", "/r", 2);
    assert_string_equal(told->config, "{\"name\":1}");
    assert_string_equal(told->session, "{\"user\":1}");
    assert_true(told->op.ahead_us > 0);
    told = ask("s2", "", 0);
    assert_string_equal(told->config, "{\"name\":1}");
    assert_string_equal(told->session, "absent");
    assert_string_equal(ask("", "/r", 2)->session, "absent");
}

static void how_far_the_bucket_is_ahead(void **state) {
    (void)state;
    assert_in_range(ask("", "/r", 2)->op.ahead_us, DAY_US - DAY_US / 24, DAY_US);
    assert_in_range(ask("", "/r", 2)->op.ahead_us, 2 * DAY_US - DAY_US / 24, 2 * DAY_US);
    told_t *told = ask("", "/r", 2);
    assert_in_range(-told->op.ahead_us, 2 * DAY_US - DAY_US / 24, 2 * DAY_US);
}

static void a_smaller_limit_counts_at_once(void **state) {
    (void)state;
    told_t *told;
    for (int i = 0; i < 5; i++)
        assert_true(ask("", "/r", 5)->op.ahead_us > 0);
    told = ask("", "/r", 1);
    assert_in_range(-told->op.ahead_us, 1, DAY_US);
    told = ask("", "/r", 5); /* what was too much is forgotten */
    assert_in_range(told->op.ahead_us, DAY_US, 2 * DAY_US);
}

static void a_bucket_may_be_asked_alone(void **state) {
    (void)state;
    store("config", "text", 60);
    told_t *told = prepare(0, "s1", "/r", 2);
    told->op.alone = true;
    enter(0, told);
    RIG_UNTIL(rig.loop, told->done);
    assert_true(told->op.ahead_us > 0);
    assert_string_equal(told->config, "absent");
    assert_true(ask("", "/r", 2)->op.ahead_us > 0);
    assert_true(ask("", "/r", 2)->op.ahead_us < 0);
}

/* The writer is busy all the while: nobody waits for it longer than was said. */
static void its_time_is_kept(void **state) {
    (void)state;
    db_run_t run;
    cache_ops_t ops = cache_rig_stall(&rig, &run, 60000);
    told_t *told = prepare(0, "s1", "/r", 2);
    told->op.wait_ms = 30;
    assert_int_equal(ops.gate(ops.engine, &told->op), 0);
    RIG_UNTIL(rig.loop, told->done);
    assert_int_equal(told->op.config_err, ERR_TIMEOUT);
    assert_int_equal(told->op.session_err, ERR_TIMEOUT);
    assert_int_equal(told->op.rate_err, ERR_TIMEOUT);
    cache_rig_unstall(&rig, &run);
    assert_int_equal(told->done, 1);
}

/* The memory is poisoned: under the sanitizers, or by its values, a late touch shows. */
static void what_is_cancelled_is_let_go(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        told_t *told = prepare(i, "s1", "/r", 100);
        enter(i % 2, told);
        if (i % 3 == 2) loop_turn(rig.loop, 0);
        if (told->done) continue;
        rig.ops[i % 2].gate_cancel(&told->op);
        memset(told, 0x5a, sizeof *told);
    }
    assert_true(ask("", "/other", 1)->op.ahead_us > 0);
    for (int i = 1; i < 8; i++)
        if (tolds[i].done != 1)
            for (size_t k = 0; k < sizeof(told_t); k++)
                assert_int_equal(((unsigned char *)&tolds[i])[k], 0x5a);
}

static void ended_with_the_engine(void **state) {
    (void)state;
    told_t *told = prepare(0, "s1", "/r", 100), *left = prepare(1, "s1", "/r", 100);
    enter(0, told);
    enter(0, left);
    rig.ops[0].gate_cancel(&left->op);
    cache_rig_close(&rig);
    assert_int_equal(told->done, 1);
    assert_int_equal(left->done, 0);
    if (told->op.ahead_us == 0) assert_int_equal(told->op.rate_err, ERR_CLOSED);
}

static void without_its_tables_each_part_fails(void **state) {
    (void)state;
    cache_rig_sql(&rig, "DROP TABLE rates");
    told_t *told = ask("s1", "/r", 1);
    assert_int_equal(told->done, 1);
    assert_int_equal(told->op.rate_err, ERR_INTERNAL);
    assert_int_equal(told->op.ahead_us, 0);
}

static void parts_fail_for_themselves(void **state) {
    (void)state;
    call_t call;
    store("config", "text", 60);
    rig_run(rig.loop, rig.redis[0], &call, "LPUSH session:t1:s1 x");
    rig_run(rig.loop, rig.redis[0], &call, "LPUSH ratelimit:t1:/r x");
    told_t *told = ask("s1", "/r", 1);
    assert_int_equal(told->op.config_err, 0);
    assert_string_equal(told->config, "text");
    assert_int_equal(told->op.session_err, ERR_INTERNAL);
    assert_int_not_equal(told->op.rate_err, 0);
    rig_run(rig.loop, rig.redis[0], &call, "SET ratelimit:t1:/r 0"); /* a counter of others */
    assert_true(ask("s1", "/r", 1)->op.ahead_us > 0);
}

static void keys_expire_when_the_bucket_is_full(void **state) {
    (void)state;
    call_t call;
    ask("", "/r", 3);
    ask("", "/r", 3);
    rig_run(rig.loop, rig.redis[0], &call, "PTTL ratelimit:t1:/r");
    assert_in_range(call.integer, 2 * DAY_US / 1000 - DAY_US / 24000, 2 * DAY_US / 1000);
}

static void the_script_is_sent_again_when_it_is_forgotten(void **state) {
    (void)state;
    call_t call;
    assert_true(ask("", "/r", 3)->op.ahead_us > 0);
    rig_run(rig.loop, rig.redis[0], &call, "SCRIPT FLUSH");
    assert_true(ask("", "/r", 3)->op.ahead_us > 0);
    assert_true(ask("", "/r", 3)->op.ahead_us > 0);
    assert_true(ask("", "/r", 3)->op.ahead_us < 0);
}

static void a_server_that_is_gone(void **state) {
    (void)state;
    server_kill(&rig.server);
    told_t *told = ask("s1", "/r", 3);
    assert_int_equal(told->done, 1);
    assert_int_not_equal(told->op.config_err, 0);
    assert_int_not_equal(told->op.session_err, 0);
    assert_int_not_equal(told->op.rate_err, 0);
}

#define ON(engine, test) cmocka_unit_test_setup_teardown(test, fill_##engine, empty)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest embedded[] = {
        ON(sqlite, exactly_as_many_pass_as_the_bucket_holds),
        ON(sqlite, texts_come_along),
        ON(sqlite, how_far_the_bucket_is_ahead),
        ON(sqlite, a_smaller_limit_counts_at_once),
        ON(sqlite, a_bucket_may_be_asked_alone),
        ON(sqlite, its_time_is_kept),
        ON(sqlite, what_is_cancelled_is_let_go),
        ON(sqlite, ended_with_the_engine),
        ON(sqlite, without_its_tables_each_part_fails),
    };
    const struct CMUnitTest server[] = {
        ON(redis, exactly_as_many_pass_as_the_bucket_holds),
        ON(redis, texts_come_along),
        ON(redis, how_far_the_bucket_is_ahead),
        ON(redis, a_smaller_limit_counts_at_once),
        ON(redis, a_bucket_may_be_asked_alone),
        ON(redis, what_is_cancelled_is_let_go),
        ON(redis, ended_with_the_engine),
        ON(redis, parts_fail_for_themselves),
        ON(redis, keys_expire_when_the_bucket_is_full),
        ON(redis, the_script_is_sent_again_when_it_is_forgotten),
        ON(redis, a_server_that_is_gone),
    };
    int failed = cmocka_run_group_tests(embedded, NULL, NULL);
    if (!cache_rig_embedded_only()) failed += cmocka_run_group_tests(server, NULL, NULL);
    return failed;
}
