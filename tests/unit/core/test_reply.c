/* test_reply.c: which answers of handlers are sent, and which are the handler's mistake. */
#include "core/whole.h"

static whole_t whole;

static int set_up(void **state) {
    (void)state;
    whole_open(&whole, MAIN("['POST /api/answer'] = function(req)"
                            "  return assert(loadstring('return ' .. req.body))() end"));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    whole_stop(&whole);
    return 0;
}

static void expect(int status, const char *answer, const char *text) {
    char more[600];
    snprintf(more, sizeof more, "Content-Length: %zu\r\n\r\n%s", strlen(answer), answer);
    whole_expect(&whole, status, "POST /api/answer", more, text);
}

static void fields_of_an_answer_are_sent(void **state) {
    (void)state;
    expect(201, "{ __answer = true, status = 201, headers = { ETag = '\"1\"' }, json = {} }",
        "ETag: \"1\"\r\n");
    expect(202, "{ __answer = true, status = 202, body = 'text' }", "text/plain; charset=utf-8");
    expect(200, "{ __answer = true, headers = { ['CONTENT-type'] = 'text/csv' }, body = 'a,b' }",
        "Content-Type: text/csv\r\n");
    expect(200, "{ __answer = true, headers = { ['Set-Cookie'] = { 'a=1', 'b=2' } } }",
        "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n");
    expect(200, "{ __answer = true, headers = { Age = 7 } }", "Age: 7\r\n");
    expect(204, "{ __answer = true, status = 204, body = 'dropped' }", "204");
    assert_string_equal(whole_body(&whole.client), "");
}

static void fields_that_cannot_be_sent_are_refused(void **state) {
    static const char *const WRONG[] = {
        "headers = { ['X-A'] = 'a\\r\\nSet-Cookie: b=c' }",
        "headers = { ['X-A\\r\\nX-B'] = 'a' }",
        "headers = { ['X A'] = 'a' }",
        "headers = { [''] = 'a' }",
        "headers = { ['X-A'] = 'a\\0b' }",
        "headers = { ['X-A'] = true }",
        "headers = { 'X-A: b' }",
        "headers = 'X-A: b'",
        "headers = { ['Content-Length'] = '3' }",
        "headers = { ['transfer-encoding'] = 'chunked' }",
        "headers = { ['Content-Type'] = 'text/html\\r\\nX: y' }",
        "status = 99",
        "status = 101",
        "status = 600",
        "status = 200.5",
        "status = 'many'",
        "body = {}",
        "body = 7",
        "json = print",
        "json = { 1, a = 2 }",
        "json = '\\255'",
    };
    (void)state;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        char answer[300];
        snprintf(answer, sizeof answer, "{ __answer = true, %s }", WRONG[i]);
        expect(500, answer, "\"code\":\"internal\"");
        assert_null(strstr(whole.client.got, "X-B"));
        assert_null(strstr(whole.client.got, "Set-Cookie"));
    }
    expect(200, "'and the server goes on'", "and the server goes on");
}

/* Whatever an answer's metatable would do, no script runs any more. */
static void metamethods_are_not_asked(void **state) {
    (void)state;
    expect(200, "setmetatable({ a = 1 }, { __index = function() while true do end end })",
        "{\"a\":1}");
    expect(200, "setmetatable({ __answer = true }, { __index = function() error('x') end })",
        "Content-Length: 0");
}

static void what_is_no_answer_is_refused(void **state) {
    (void)state;
    expect(500, "true", "internal");
    expect(500, "7", "internal");
    expect(500, "coroutine.create(print)", "internal");
    expect(200, "'text', 'and what nobody asked for'", "\r\n\r\ntext");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_an_answer_are_sent),
        cmocka_unit_test(fields_that_cannot_be_sent_are_refused),
        cmocka_unit_test(metamethods_are_not_asked),
        cmocka_unit_test(what_is_no_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
