/* test_req.c: what a handler reads from its request, and what it reads when the request is over. */
#include "core/whole.h"

static void fields_are_what_was_sent(void **state) {
    (void)state;
    whole_t whole;
    whole_open(&whole,
        MAIN("['GET /api/x/:a/:b'] = function(req) return { p = req.params, q = req.query } end,"
             "['GET /api/h'] = function(req) return req.headers end,"
             "['GET /api/t'] = function(req) return req.tenant end,"
             "['GET /api/kinds'] = function(req) return { type(req.now_ms), type(req.deadline),"
             "  type(req.role), type(req.session), type(req.nonsense), req.client.scheme,"
             "  #req.request_id > 0, #req.trace_id } end"));
    whole_expect(&whole, 200, "GET /api/x/%C3%A9/b%2Fc?one=1&two=a+b&two=%26&three&=&one=2&one=3",
        NULL,
        "{\"p\":{\"a\":\"\xc3\xa9\",\"b\":\"b/c\"},\"q\":{\"\":\"\",\"one\":[\"1\",\"2\",\"3\"],"
        "\"three\":\"\",\"two\":[\"a b\",\"&\"]}}");
    whole_expect(&whole, 200, "GET /api/h", "X-A: 1\r\nX-B: 2\r\nx-a: 3\r\n\r\n",
        "\"x-a\":[\"1\",\"3\"],\"x-b\":\"2\"");
    whole_expect(&whole, 200, "GET /api/t", NULL,
        "{\"id\":\"id-acme\",\"settings\":{\"currency\":\"USD\"},\"slug\":\"acme\"}");
    whole_expect(&whole, 200, "GET /api/kinds", NULL,
        "[\"number\",\"number\",\"nil\",\"nil\",\"nil\",\"http\",true,32]");
    whole_stop(&whole);
}

static void a_query_has_a_bound(void **state) {
    (void)state;
    whole_t whole;
    char line[2000] = "GET /api/q?";
    whole_open(&whole, MAIN("['GET /api/q'] = function(req) return tostring(#req.query.a) end"));
    for (int i = 0; i < 400; i++)
        strcat(line, "a=1&");
    whole_expect(&whole, 200, line, NULL, "\r\n\r\n128");
    whole_stop(&whole);
}

/* A handler may keep req: it is harmless when another request has taken its place. */
static void a_kept_request_says_nothing_of_another(void **state) {
    (void)state;
    whole_t whole;
    whole_open(&whole,
        MAIN(
            "['POST /api/keep'] = function(req) kept = req req.path = 'mine' return req.method end,"
            "['POST /api/read'] = function(req)"
            "  return { kept.path, tostring(kept.body), tostring(kept.method), req.body } end,"
            "['POST /api/forge'] = function(req) local list = {}"
            "  for i, handle in ipairs { -1, 0/0, 1e300, 2^40, 0.5, 'x', true } do"
            "    kept[0] = handle list[i] = tostring(kept.headers) end"
            "  return list end,"
            "['POST /api/meta'] = function(req) return { getmetatable(req) } end"));
    static const char BODY[] = "Content-Length: 6\r\n\r\nsecret";
    whole_expect(&whole, 200, "POST /api/keep", BODY, "POST");
    whole_expect(&whole, 200, "POST /api/read", BODY, "[\"mine\",\"nil\",\"POST\",\"secret\"]");
    assert_int_equal(whole_ask(&whole, "POST /api/forge", BODY), 200);
    assert_null(strstr(whole.client.got, "table"));
    whole_expect(&whole, 200, "POST /api/meta", BODY, "[false]");
    whole_stop(&whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_what_was_sent),
        cmocka_unit_test(a_query_has_a_bound),
        cmocka_unit_test(a_kept_request_says_nothing_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
