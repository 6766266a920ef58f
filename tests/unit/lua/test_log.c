/* test_log.c: log lines of scripts are JSON, carry the request id, and survive any field. */
#include "lua/bench.h"
#include <unistd.h>
#include "base/log.h"

static FILE *sink;

/* What the script's line holds; each call reads what has been written since the last. */
static void logged(bench_t *bench, const char *script, char *line, size_t size) {
    bench_expect(bench, script, "ok");
    log_flush();
    char all[65536];
    lseek(fileno(sink), 0, SEEK_SET);
    ssize_t len = read(fileno(sink), all, sizeof all - 1);
    assert_true(len >= 0);
    all[len] = '\0';
    snprintf(line, size, "%s", all);
    assert_int_equal(ftruncate(fileno(sink), 0), 0);
    lseek(fileno(sink), 0, SEEK_SET);
    if (len == 0) return;
    lua_pushlstring(bench->vm->L, all, (size_t)len - 1);
    lua_setglobal(bench->vm->L, "line");
    bench_expect(bench, "assert(json.decode(line)) return 'ok'", "ok");
}

static int open_log(void **state) {
    sink = tmpfile();
    assert_non_null(sink);
    log_open(fileno(sink), LOG_INFO);
    return bench_open(state);
}

static int close_log(void **state) {
    int err = bench_close(state);
    log_open(STDERR_FILENO, LOG_INFO);
    fclose(sink);
    return err;
}

static void test_lines_carry_event_fields_and_request(void **state) {
    char line[4096];
    logged(*state, "log.info('cart_saved', {items = 3, sku = 'A\"1', deep = {1, 2}}) return 'ok'",
        line, sizeof line);
    assert_non_null(strstr(line, "\"level\":\"info\""));
    assert_non_null(strstr(line, "\"event\":\"cart_saved\""));
    assert_non_null(strstr(line, "\"requestId\":\"r-1\""));
    assert_non_null(strstr(line, "\"items\":3"));
    assert_non_null(strstr(line, "\"sku\":\"A\\\"1\""));
    assert_non_null(strstr(line, "\"deep\":[1,2]"));
}

static void test_levels(void **state) {
    char line[4096];
    logged(*state, "log.debug('x') return 'ok'", line, sizeof line);
    assert_string_equal(line, "");
    logged(*state, "log.warn('x') return 'ok'", line, sizeof line);
    assert_non_null(strstr(line, "\"level\":\"warn\""));
    logged(*state, "log.error('x') return 'ok'", line, sizeof line);
    assert_non_null(strstr(line, "\"level\":\"error\""));
}

static void test_odd_fields_do_not_lose_the_line(void **state) {
    char line[65536];
    logged(*state,
        "log.info('odd', {f = print, bad = 'a\\255', [1] = 2, nan = 0/0, ['k\\255\"'] = 1}) return "
        "'ok'",
        line, sizeof line);
    assert_non_null(strstr(line, "\"f\":\"a function is not JSON\""));
    logged(*state, "log.info('big', {text = ('x'):rep(100000), small = 1}) return 'ok'", line,
        sizeof line);
    assert_non_null(strstr(line, "\"cut\":true"));
    assert_non_null(strstr(line, "\"small\":1"));
    assert_true(strlen(line) < 20000);
}

static void test_fields_cannot_imitate_the_servers(void **state) {
    char line[4096];
    logged(*state, "log.info('x', {level = 'error', requestId = 'other', event = 'y'}) return 'ok'",
        line, sizeof line);
    assert_null(strstr(line, "\"other\""));
    assert_null(strstr(line, "\"error\""));
    assert_null(strstr(line, "\"y\""));
}

static void test_arguments_are_checked(void **state) {
    bench_expect(*state, "return tostring(pcall(log.info)) .. tostring(pcall(log.info, 'x', 'y'))",
        "falsefalse");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)
int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_lines_carry_event_fields_and_request),
        CASE(test_levels),
        CASE(test_odd_fields_do_not_lose_the_line),
        CASE(test_fields_cannot_imitate_the_servers),
        CASE(test_arguments_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
