/* test_server.c: a request's road through the whole server, and what happens when it is cut short. */
#include "core/whole.h"

static void what_a_handler_returns_is_the_answer(void **state) {
    (void)state;
    whole_t whole;
    whole_open(&whole, MAIN("['GET /api/table'] = function() return { a = 1 } end,"
                            "['GET /api/text'] = function() return 'hello' end,"
                            "['DELETE /api/nothing'] = function() end"));
    whole_expect(&whole, 200, "GET /api/table", NULL, "{\"a\":1}");
    assert_non_null(strstr(whole.client.got, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(whole.client.got, "X-Request-ID: "));
    whole_expect(&whole, 200, "GET /api/text", NULL, "\r\n\r\nhello");
    whole_expect(&whole, 204, "DELETE /api/nothing", NULL, "204 No Content");
    assert_int_equal(whole_ask(&whole, "HEAD /api/text", NULL), 200);
    assert_string_equal(whole_body(&whole.client), "");
    whole_stop(&whole);
}

static void what_no_route_serves_is_refused(void **state) {
    (void)state;
    whole_t whole;
    whole_open(&whole, MAIN("['GET /api/x/:id'] = function(req) return req.params.id end,"
                            "['PUT /api/x/:id'] = function() end"));
    whole_expect(&whole, 404, "GET /api/nothing", NULL, "\"code\":\"not_found\"");
    whole_expect(&whole, 404, "GET /", NULL, "\"requestId\":\"");
    whole_expect(&whole, 405, "POST /api/x/1", "Content-Length: 0\r\n\r\n", "method_not_allowed");
    assert_non_null(strstr(whole.client.got, "Allow: "));
    assert_non_null(strstr(strstr(whole.client.got, "Allow: "), "PUT"));
    whole_expect(&whole, 204, "OPTIONS /api/x/1", NULL, "Allow: ");
    whole_expect(&whole, 400, "GET /api/x/%zz", NULL, "the path is not well-formed");
    whole_expect(&whole, 400, "GET /api/x/%ff", NULL, "the path is not well-formed");
    whole_expect(&whole, 400, "GET /api/x/1?q=%ff", NULL, "the query is not well-formed");
    whole_expect(&whole, 400, "GET /api/x/1?q=%00", NULL, "the query is not well-formed");
    whole_expect(&whole, 200, "GET /api/x/1?q=100%", NULL, "\r\n\r\n1");
    whole_stop(&whole);
}

static void an_unknown_host_is_no_shop(void **state) {
    (void)state;
    whole_t whole;
    whole_open(&whole, MAIN("['GET /api/x'] = function(req) return req.tenant.slug end"));
    whole_send(&whole, &whole.client, "nobody", "GET /api/x", NULL);
    assert_int_equal(whole_await(&whole, &whole.client), 404);
    assert_non_null(strstr(whole.client.got, "no shop answers at this host"));
    whole_expect(&whole, 200, "GET /api/x", NULL, "acme");
    whole_stop(&whole);
}

static void a_role_is_asked_for_before_the_handler(void **state) {
    (void)state;
    whole_t whole;
    whole_open(&whole,
        MAIN("['GET /api/own'] = { role = 'owner', run = function(req) return req.role end },"
             "['GET /api/staff'] = { role = 'staff', run = function() return 'no' end }"));
    whole_expect(&whole, 401, "GET /api/own", NULL, "unauthorized");
    whole_expect(&whole, 401, "GET /api/own", "Authorization: Bearer x\r\n\r\n", "unauthorized");
    whole_expect(
        &whole, 403, "GET /api/own", "Authorization: Bearer demo-owner-tokyo\r\n\r\n", "denied");
    whole_expect(&whole, 200, "GET /api/own", "Authorization: bearer  demo-owner-acme\r\n\r\n",
        "\r\n\r\nowner");
    /* Another role than the key's is not enough. */
    whole_expect(
        &whole, 403, "GET /api/staff", "Authorization: Bearer demo-owner-acme\r\n\r\n", "denied");
    whole.services.config.demo_keys = false;
    whole_expect(&whole, 401, "GET /api/own", "Authorization: Bearer demo-owner-acme\r\n\r\n",
        "unauthorized");
    whole_stop(&whole);
}

static void a_larger_body_is_for_who_may_use_the_route(void **state) {
    (void)state;
    whole_t whole;
    whole_create(&whole);
    whole.config.body_max_bytes = 1024;
    whole_start(&whole, MAIN("['POST /api/bulk'] = { role = 'owner', body_max = 4096,"
                             "  run = function(req) return tostring(#req.body) end },"
                             "['POST /api/x'] = function(req) return tostring(#req.body) end"));
    char body[2100], keyed[2300], plain[2200];
    memset(body, 'x', 2000);
    body[2000] = '\0';
    snprintf(plain, sizeof plain, "Content-Length: 2000\r\n\r\n%s", body);
    snprintf(keyed, sizeof keyed, "Authorization: Bearer demo-owner-acme\r\n%s", plain);
    whole_expect(&whole, 200, "POST /api/bulk", keyed, "\r\n\r\n2000");
    whole_expect(&whole, 413, "POST /api/bulk", plain, "too_large");
    whole_expect(&whole, 413, "POST /api/x", keyed, "too_large");
    whole_stop(&whole);
}

static void errors_tell_the_client_nothing_but_the_id(void **state) {
    (void)state;
    whole_t whole;
    whole_open(&whole,
        MAIN("['GET /api/error'] = function() error('secret') end,"
             "['GET /api/odd'] = function() error({ secret = 1 }) end,"
             "['GET /api/function'] = function() return print end,"
             "['GET /api/nan'] = function() return { 0/0 } end,"
             "['GET /api/deep'] = function() local function f() return 1 + f() end return f() end,"
             "['GET /api/yield'] = function() coroutine.yield() end"));
    static const char *const PATHS[] = {"GET /api/error", "GET /api/odd", "GET /api/function",
        "GET /api/nan", "GET /api/deep", "GET /api/yield"};
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
        whole_expect(
            &whole, 500, PATHS[i], "X-Request-ID: my-id\r\n\r\n", "\"requestId\":\"my-id\"");
        assert_null(strstr(whole.client.got, "secret"));
        assert_null(strstr(whole.client.got, "main.lua"));
    }
    whole_stop(&whole);
}

static void a_raised_answer_is_sent(void **state) {
    (void)state;
    whole_t whole;
    whole_open(
        &whole, MAIN("['GET /api/problem'] = function()"
                     "  error({ __answer = true, status = 409, json = { code = 'taken' },"
                     "    headers = { ['Content-Type'] = 'application/problem+json' } }, 0) end,"
                     "['GET /api/own-id'] = function() return { __answer = true, status = 400,"
                     "    json = { requestId = 'mine' }, headers = { ['content-type'] = "
                     "'application/problem+json' } } end,"
                     "['GET /api/json'] = function(req) return req.json end"));
    whole_expect(&whole, 409, "GET /api/problem", "X-Request-ID: my-id\r\n\r\n",
        "{\"code\":\"taken\",\"requestId\":\"my-id\"}");
    whole_expect(&whole, 400, "GET /api/own-id", NULL, "{\"requestId\":\"mine\"}");
    whole_expect(&whole, 400, "GET /api/json", NULL, "\"code\":\"bad_json\"");
    whole_expect(&whole, 400, "GET /api/json", "Content-Length: 1\r\n\r\n{", "bad_json");
    whole_expect(&whole, 415, "GET /api/json",
        "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", "unsupported_type");
    whole_expect(&whole, 200, "GET /api/json",
        "Content-Type: application/merge-patch+json\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
        "\r\n\r\n{\"a\":1}");
    whole_stop(&whole);
}

static void what_a_request_said_outlives_its_read_buffer(void **state) {
    (void)state;
    whole_t whole;
    client_t other;
    whole_open(&whole,
        MAIN("['POST /api/x/:id'] = function(req)"
             "  while not go do sleep(1) end"
             "  return { req.params.id, req.query.q, req.headers['x-a'], req.body, req.path,"
             "    req.method, req.route, req.session, req.client.address, req.host } end,"
             "['POST /api/noise/:a'] = function() return 'noise' end,"
             "['POST /api/go'] = function() go = true end"));
    assert_int_equal(whole_ask(&whole, "POST /api/go2", "Content-Length: 0\r\n\r\n"), 404);
    whole_send(&whole, &other, "acme", "POST /api/x/first?q=second",
        "X-A: third\r\nCookie: perigee_session=0123456789abcdef\r\nContent-Length: "
        "6\r\n\r\nfourth");
    RIG_UNTIL(&whole.rig, server_app(whole.server)->vm->children == 1);
    char noise[3000];
    memset(noise, '#', sizeof noise);
    memcpy(noise, "X-A: ", 5);
    memcpy(noise + 2900, "\r\nContent-Length: 0\r\n\r\n", 24);
    whole_expect(&whole, 200, "POST /api/noise/zzzzzzzzzzzzzzzzzzzzzzz?q=zzzzzzzz", noise, "noise");
    whole_expect(&whole, 204, "POST /api/go", "Content-Length: 0\r\n\r\n", "");
    assert_int_equal(whole_await(&whole, &other), 200);
    assert_string_equal(whole_body(&other),
        "[\"first\",\"second\",\"third\",\"fourth\",\"/api/x/first\",\"POST\",\"/api/x/:id\","
        "\"0123456789abcdef\",\"127.0.0.1\",\"acme.localhost\"]");
    whole_stop(&whole);
}

static void who_leaves_ends_the_handler(void **state) {
    (void)state;
    whole_t whole;
    client_t leaver;
    whole_open(&whole, MAIN("['GET /api/wait'] = function() while true do sleep(60000) end end,"
                            "['GET /api/x'] = function() return 'x' end"));
    whole_send(&whole, &leaver, "acme", "GET /api/wait", NULL);
    vm_t *vm = server_app(whole.server)->vm;
    RIG_UNTIL(&whole.rig, vm->children == 1);
    setsockopt(leaver.fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(leaver.fd);
    RIG_UNTIL(&whole.rig, vm->children == 0);
    whole_expect(&whole, 200, "GET /api/x", NULL, "\r\n\r\nx");
    whole_stop(&whole);
}

static void the_end_of_the_server_ends_what_waits(void **state) {
    (void)state;
    whole_t whole;
    client_t clients[3];
    whole_open(&whole, MAIN("['GET /api/wait'] = function() wait_all { function() sleep(60000) end,"
                            " function() sleep(60000) end } end"));
    for (int i = 0; i < 3; i++)
        whole_send(&whole, &clients[i], "acme", "GET /api/wait", NULL);
    vm_t *vm = server_app(whole.server)->vm;
    RIG_UNTIL(&whole.rig, vm->children == 9);
    whole_stop(&whole);
    for (int i = 0; i < 3; i++)
        close(clients[i].fd);
}

static void a_request_past_its_deadline_is_refused(void **state) {
    (void)state;
    whole_t whole;
    whole_create(&whole);
    whole.config.request_ms = 20;
    whole_start(
        &whole, MAIN("['GET /api/stubborn'] = function() while true do sleep(60000) end end,"
                     "['GET /api/polite'] = function() local ok, text, name = sleep(60000) return "
                     "name end"));
    whole_expect(&whole, 503, "GET /api/stubborn", NULL, "\"code\":\"timeout\"");
    assert_non_null(strstr(whole.client.got, "Retry-After: 1\r\n"));
    whole_expect(&whole, 200, "GET /api/polite", NULL, "\r\n\r\ntimeout");
    whole_stop(&whole);
}

static void a_request_ends_on_the_edition_it_began_with(void **state) {
    (void)state;
    whole_t whole;
    client_t old;
    whole_open(
        &whole, MAIN("['GET /api/x'] = function() while not go do sleep(1) end return 'old' end,"
                     "['GET /api/go'] = function() go = true end"));
    whole_send(&whole, &old, "acme", "GET /api/x", NULL);
    app_t *first = server_app(whole.server);
    RIG_UNTIL(&whole.rig, first->vm->children == 1);
    app_ref(first);
    whole_swap(&whole, MAIN("['GET /api/x'] = function() return 'new' end"));
    whole_expect(&whole, 200, "GET /api/x", NULL, "\r\n\r\nnew");
    whole_expect(&whole, 404, "GET /api/go", NULL, "");
    lua_pushboolean(first->vm->L, 1);
    lua_setglobal(first->vm->L, "go");
    app_unref(first);
    assert_int_equal(whole_await(&whole, &old), 200);
    assert_string_equal(whole_body(&old), "old");
    whole_stop(&whole);
}

static void before_the_scripts_are_there_it_is_busy(void **state) {
    (void)state;
    whole_t whole;
    whole_open(&whole, NULL);
    server_set_ready(whole.server, false);
    whole_expect(&whole, 503, "GET /api/x", NULL, "\"code\":\"busy\"");
    assert_non_null(strstr(whole.client.got, "application/problem+json"));
    whole_expect(&whole, 200, "GET /healthz", NULL, "alive");
    whole_expect(&whole, 503, "GET /readyz", NULL, "Retry-After");
    server_set_ready(whole.server, true);
    whole_expect(&whole, 200, "GET /readyz", NULL, "\"documents\"");
    whole_expect(&whole, 405, "DELETE /readyz", NULL, "Allow: GET, HEAD");
    whole_stop(&whole);
}

/* The trusted VM fails its allocations one after another: each request has an answer, the next one works, and the
   VM's end asserts that nothing is left. */
static void no_memory_costs_one_request(void **state) {
    (void)state;
    whole_t whole;
    whole_open(&whole,
        MAIN("['POST /api/x/:id'] = function(req)"
             "  local made = { id = req.params.id, q = req.query, h = req.headers, b = req.json,"
             "    t = req.tenant.slug, c = req.client }"
             "  local both = wait_all { function() return sleep(0) end,"
             "    function() return { req.path } end }"
             "  made.path = both[2][1][1]"
             "  return { __answer = true, status = 201, json = made,"
             "    headers = { ['X-A'] = 'b', ['Content-Type'] = 'application/json' } } end,"
             "['GET /api/problem'] = function(req)"
             "  error({ __answer = true, status = 409, json = { code = req.path } }, 0) end"));
    static const char MORE[] = "Content-Type: application/json\r\nContent-Length: "
                               "24\r\n\r\n{\"a\":[1,2.5,{\"b\":\"c\"}]} ";
    vm_t *vm = server_app(whole.server)->vm;
    int refused = 0, last = 0;
    for (int64_t allowed = 0; last != 201; allowed++) {
        assert_in_range(allowed, 0, 5000);
        vm->fail_after = allowed;
        last = whole_ask(&whole, "POST /api/x/1?a=b&a=c", MORE);
        if (last != 201 && last != 500 && last != 503) fail_msg("%s", whole.client.got);
        refused += last != 201;
        vm->fail_after = allowed;
        int status = whole_ask(&whole, "GET /api/problem", NULL);
        if (status != 409 && status != 500 && status != 503) fail_msg("%s", whole.client.got);
        vm->fail_after = -1;
        whole_expect(&whole, 409, "GET /api/problem", NULL, "{\"code\":\"/api/problem\"}");
        resolve_forget(whole.services.resolve);
    }
    assert_true(refused > 10);
    whole_stop(&whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_handler_returns_is_the_answer),
        cmocka_unit_test(what_no_route_serves_is_refused),
        cmocka_unit_test(an_unknown_host_is_no_shop),
        cmocka_unit_test(a_role_is_asked_for_before_the_handler),
        cmocka_unit_test(a_larger_body_is_for_who_may_use_the_route),
        cmocka_unit_test(errors_tell_the_client_nothing_but_the_id),
        cmocka_unit_test(a_raised_answer_is_sent),
        cmocka_unit_test(what_a_request_said_outlives_its_read_buffer),
        cmocka_unit_test(who_leaves_ends_the_handler),
        cmocka_unit_test(the_end_of_the_server_ends_what_waits),
        cmocka_unit_test(a_request_past_its_deadline_is_refused),
        cmocka_unit_test(a_request_ends_on_the_edition_it_began_with),
        cmocka_unit_test(before_the_scripts_are_there_it_is_busy),
        cmocka_unit_test(no_memory_costs_one_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
