/* test_redis_lua.c: the bridge where no server answers: failures by name, waits that are cut, and what is left open. */
#include "bindings/silent_place.h"
#include "redis/redis_lua.h"

static void open_engine(bench_t *bench, int port) {
    char url[64], why[200] = "";
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    redis_options_t options = {.url = url, .connect_ms = LONG_MS, .command_ms = LONG_MS};
    redis_t *redis = redis_new(bench->loop, &options, why, sizeof why);
    assert_non_null(redis);
    assert_int_equal(redis_lua_open(bench->vm, redis), 0);
}

static int open_silent(void **state) {
    return place_open(state, true, open_engine);
}

static int open_refused(void **state) {
    return place_open(state, false, open_engine);
}

static void a_refused_server_is_unavailable(void **state) {
    place_expect(state,
        "local redis = require 'redis.native'\n"
        "local _, text, name = redis.call('GET', 'k')\n"
        "assert(#text > 0)\n"
        "local _, _, more = redis.pipeline { { 'GET', 'a' }, { 'GET', 'b' } }\n"
        "return name .. ' ' .. more",
        "unavailable unavailable");
}

static void wrong_arguments_are_raised(void **state) {
    place_expect(state,
        "local redis, count = require 'redis.native', 0\n"
        "for _, call in ipairs {\n"
        "  { redis.call }, { redis.call, 1 }, { redis.call, 'GET', {} }, { redis.call, 'GET', true "
        "},\n"
        "  { redis.call, 'SET', 'k', 0/0 }, { redis.pipeline }, { redis.pipeline, { 'GET' } },\n"
        "  { redis.pipeline, { {} } }, { redis.pipeline, { { 'GET', print } } }, { redis.lease, "
        "'t' },\n"
        "  { redis.subscribe }, { redis.subscribe, 'c', 1 }, { redis.sha1 },\n"
        "} do assert(not pcall(unpack(call))) count = count + 1 end\n"
        "return count",
        "13");
}

static void what_needs_a_connection_is_refused(void **state) {
    place_expect(state,
        "local redis, names = require 'redis.native', {}\n"
        "for i, verb in ipairs { 'MULTI', 'BLPOP', 'SUBSCRIBE', 'SELECT', 'MONITOR' } do\n"
        "  names[i] = select(3, redis.call(verb, 'x', 1)) end\n"
        "return table.concat(names, ' ')",
        "internal internal internal internal internal");
}

/* The same digest that a server makes of the text. */
static void a_script_has_its_digest(void **state) {
    place_expect(state, "return (require 'redis.native').sha1('return 1')",
        "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

/* Whatever the script waits for, cancelling the task ends it, and the driver lets go. */
static void a_wait_can_be_cancelled(void **state) {
    static const char *const SCRIPTS[] = {"redis.call('GET', 'k')", "redis.replica('GET', 'k')",
        "redis.pipeline { { 'GET', 'a' }, { 'SET', 'b', 1 } }", "redis.lease('tenant', 'k')",
        "redis.subscribe('c')()", "redis.subscribe('c', { missed = true }):next(3600000)"};
    place_t *place = *state;
    for (size_t i = 0; i < sizeof SCRIPTS / sizeof *SCRIPTS; i++) {
        char script[200];
        run_t run;
        snprintf(script, sizeof script, "local redis = require 'redis.native'\n%s", SCRIPTS[i]);
        bench_start(place->bench, &run, script, 0);
        assert_non_null(run.task);
        loop_turn(place->bench->loop, 0);
        task_cancel(run.task);
        assert_int_equal(run.end, TASK_CANCELLED);
        loop_turn(place->bench->loop, 0);
    }
}

/* The deadline of the task cuts the wait, and the script may still say so. */
static void a_wait_ends_with_its_task(void **state) {
    place_t *place = *state;
    run_t run;
    bench_start(place->bench, &run,
        "local redis = require 'redis.native'\n"
        "local _, _, name = redis.call('GET', 'k')\n"
        "return name",
        20);
    bench_wait(place->bench, &run);
    assert_int_equal(run.end, TASK_OK);
    assert_string_equal(run.text, "timeout");
}

static void a_wait_may_be_short(void **state) {
    place_expect(state,
        "local redis = require 'redis.native'\n"
        "local _, _, one = redis.within(5, false, 'GET', 'k')\n"
        "local _, _, two = redis.within(5, true, 'GET', 'k')\n"
        "return one .. ' ' .. two .. ' ' .. tostring(pcall(redis.within, 0, false, 'GET', 'k'))",
        "timeout timeout false");
}

static void two_cannot_wait_for_one_subscription(void **state) {
    place_expect(state,
        "local s = (require 'redis.native').subscribe('c')\n"
        "local results = wait_all {\n"
        "  function() return select(3, s()) end,\n"
        "  function() local ok = pcall(s) s:close() return ok end }\n"
        "return results[1][1] .. ' ' .. tostring(results[2][1]) .. ' ' .. tostring(pcall(s))",
        "closed false false");
}

/* The VM goes while they are open: place_close finds nothing left behind. */
static void what_is_left_open_goes_with_the_vm(void **state) {
    place_expect(state,
        "local redis = require 'redis.native'\n"
        "a, b = redis.subscribe('c'), redis.subscribe('*', { pattern = true, missed = true })\n"
        "return type(a)",
        "userdata");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_refused_server_is_unavailable, open_refused, place_close),
        cmocka_unit_test_setup_teardown(wrong_arguments_are_raised, open_refused, place_close),
        cmocka_unit_test_setup_teardown(
            what_needs_a_connection_is_refused, open_refused, place_close),
        cmocka_unit_test_setup_teardown(a_script_has_its_digest, open_refused, place_close),
        cmocka_unit_test_setup_teardown(a_wait_can_be_cancelled, open_silent, place_close),
        cmocka_unit_test_setup_teardown(a_wait_ends_with_its_task, open_silent, place_close),
        cmocka_unit_test_setup_teardown(a_wait_may_be_short, open_silent, place_close),
        cmocka_unit_test_setup_teardown(
            two_cannot_wait_for_one_subscription, open_silent, place_close),
        cmocka_unit_test_setup_teardown(
            what_is_left_open_goes_with_the_vm, open_silent, place_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
