/* test_request.c: what a head says of a request. */
#include "core/head.h"
#include "base/err.h"

static const char *id_of(head_t *head, const char *sent) {
    head_create(head, "192.0.2.1", "X-Request-ID", sent, NULL);
    request_read_head(&head->request, &head->config);
    head_destroy(head);
    return head->request.id;
}

static void a_request_id_is_echoed_when_it_is_harmless(void **state) {
    static const char LONG[] = "0123456789012345678901234567890123456789012345678901234567890123";
    (void)state;
    head_t head;
    assert_string_equal(id_of(&head, "abc-1.2_3"), "abc-1.2_3");
    assert_string_equal(id_of(&head, LONG), LONG);
    static const char *const BAD[] = {"", "a b", "a\"b", "a\nb", "\xc3\xa9",
        "01234567890123456789012345678901234567890123456789012345678901234"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(strlen(id_of(&head, BAD[i])), 32);
        assert_string_equal(head.request.id, head.request.trace);
    }
}

static void a_trace_is_taken_or_made(void **state) {
    static const char *const BAD[] = {"", "00-x",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"};
    (void)state;
    head_t head;
    char before[33] = "";
    head_create(&head, "192.0.2.1", "Traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NULL);
    request_read_head(&head.request, &head.config);
    assert_string_equal(head.request.trace, "0af7651916cd43dd8448eb211c80319c");
    head_destroy(&head);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        head_create(&head, "192.0.2.1", "traceparent", BAD[i], NULL);
        request_read_head(&head.request, &head.config);
        assert_int_equal(strlen(head.request.trace), 32);
        assert_string_not_equal(head.request.trace, before);
        strcpy(before, head.request.trace);
        head_destroy(&head);
    }
}

static void session_is(const char *name, const char *value, const char *expected) {
    head_t head;
    head_create(&head, "192.0.2.1", name, value, NULL);
    request_read_head(&head.request, &head.config);
    head_equal(head.request.session, expected);
    head_destroy(&head);
}

static void a_session_comes_from_header_or_cookie(void **state) {
    (void)state;
    session_is("X-Session-ID", "0123456789abcdef", "0123456789abcdef");
    session_is("X-Session-ID", "0123456789abcde", "");
    session_is("X-Session-ID", "0123456789 abcdef", "");
    session_is("Cookie", "a=b; perigee_session=0123456789abcdef; c", "0123456789abcdef");
    session_is("Cookie", "perigee_session=0123456789abcdef", "0123456789abcdef");
    session_is("Cookie", "xperigee_session=0123456789abcdef", "");
    session_is("Cookie", "perigee_session", "");
    session_is("Cookie", ";;=;", "");
}

/* What the head said must not point to where it stood. */
static void what_is_kept_is_copied(void **state) {
    (void)state;
    head_t head;
    char session[] = "0123456789abcdef", path[] = "/api/x/one/two%20three", peer[] = "192.0.2.7";
    char why[100];
    router_t *router = router_new();
    assert_int_equal(router_add(router, SPAN("GET /api/x/:a/:b"), 0, why, sizeof why), 0);
    head_create(&head, "127.0.0.1", "X-Session-ID", session, "X-Forwarded-For", peer, NULL);
    strcpy(head.config.trusted_proxies, "127.0.0.1");
    head.exchange.path = span_of(path);
    request_read_head(&head.request, &head.config);
    assert_int_equal(request_match(&head.request, router), 0);
    memset(session, '#', sizeof session - 1);
    memset(path, '#', sizeof path - 1);
    memset(peer, '#', sizeof peer - 1);
    router_delete(router);
    head_equal(head.request.session, "0123456789abcdef");
    head_equal(head.request.address, "192.0.2.7");
    head_equal(head.request.match.values[0], "one");
    head_equal(head.request.match.values[1], "two three");
    head_equal(head.request.pattern, "/api/x/:a/:b");
    head_destroy(&head);
}

static bool query_ok(const char *query) {
    head_t head;
    head_create(&head, "192.0.2.1", NULL);
    head.exchange.query = span_of(query);
    bool ok = request_query_ok(&head.request);
    head_destroy(&head);
    return ok;
}

static void a_query_is_text(void **state) {
    (void)state;
    assert_true(query_ok(""));
    assert_true(query_ok("a=b&c"));
    assert_true(query_ok("a=%C3%A9&b=100%&c=%zz&d=%"));
    assert_false(query_ok("a=%C3&b=%A9"));
    assert_false(query_ok("a=%FF"));
    assert_false(query_ok("a=%00"));
}

static void patience_runs_from_the_arrival(void **state) {
    (void)state;
    request_t request = {.arrived_ms = 5000};
    assert_int_equal(request_cache_ms(&request, 5000, 1000), 1000);
    assert_int_equal(request_cache_ms(&request, 5300, 1000), 700);
    assert_int_equal(request_cache_ms(&request, 5900, 1000), 500);
    assert_int_equal(request_cache_ms(&request, 99000, 1000), 500);
    assert_int_equal(request_cache_ms(NULL, 99000, 1000), 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_id_is_echoed_when_it_is_harmless),
        cmocka_unit_test(a_trace_is_taken_or_made),
        cmocka_unit_test(a_session_comes_from_header_or_cookie),
        cmocka_unit_test(what_is_kept_is_copied),
        cmocka_unit_test(a_query_is_text),
        cmocka_unit_test(patience_runs_from_the_arrival),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
