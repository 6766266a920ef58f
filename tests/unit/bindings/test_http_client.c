/* test_http_client.c: answers, redirects, limits, refusals and endings of the HTTP client, against a server of its
   own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/err.h"
#include "bindings/http_stub.h"
#include "http/client.h"

#define PLENTY_MS 60000 /* a deadline that no test should reach */

typedef struct call {
    fetch_t fetch;
    char url[256];
    int done;
} call_t;

static loop_t *loop;
static stub_t stub;
static client_t *client;

static int open_with(size_t most, size_t bound) {
    loop = loop_new();
    if (!loop) return -1;
    stub_start(&stub, loop);
    client_options_t options = {loop, most, bound};
    client = client_new(&options);
    return client ? 0 : -1;
}

static int open_client(void **state) {
    (void)state;
    return open_with(0, 0);
}

static int open_narrow(void **state) {
    (void)state;
    return open_with(1, 1);
}

static int close_client(void **state) {
    (void)state;
    if (loop) loop_delete(loop);
    loop = NULL;
    return 0;
}

static void on_done(fetch_t *fetch) {
    LIST_OWNER(fetch, call_t, fetch)->done++;
}

static void prepare(call_t *call, const char *path) {
    *call = (call_t){.done = 0};
    snprintf(call->url, sizeof call->url, "http://127.0.0.1:%d%s", stub.port, path);
    call->fetch.url = call->url;
    call->fetch.method = "GET";
    call->fetch.allow_private = true;
    call->fetch.max_bytes = 100000;
    call->fetch.timeout_ms = PLENTY_MS;
    call->fetch.done = on_done;
}

static void start(call_t *call) {
    assert_int_equal(client_start(client, &call->fetch), 0);
    assert_int_equal(call->done, 0);
}

static void wait_for(const call_t *call) {
    while (!call->done)
        loop_turn(loop, PLENTY_MS);
    assert_int_equal(call->done, 1);
}

static void run(call_t *call) {
    start(call);
    wait_for(call);
}

static void assert_fails(call_t *call, int err) {
    run(call);
    assert_string_equal(err_name(call->fetch.err), err_name(err));
    assert_true(call->fetch.detail[0] != '\0');
    fetch_clear(&call->fetch);
}

static void an_answer_comes_whole(void **state) {
    (void)state;
    call_t call;
    span_t name, value;
    buf_t seen;
    prepare(&call, "/hello");
    run(&call);
    assert_int_equal(call.fetch.err, 0);
    assert_int_equal(call.fetch.status, 200);
    assert_true(span_eq(buf_view(&call.fetch.answer), SPAN("hello")));
    buf_create(&seen);
    for (size_t at = 0; fetch_header_next(&call.fetch, &at, &name, &value);) {
        buf_span(&seen, name);
        buf_char(&seen, '=');
        buf_span(&seen, value);
        buf_char(&seen, ' ');
    }
    assert_true(span_eq(buf_view(&seen),
        SPAN("x-word=a x-word=b set-cookie=c=1 set-cookie=d=2 content-length=5 ")));
    buf_destroy(&seen);
    fetch_clear(&call.fetch);
}

static void assert_has(const call_t *call, const char *text) {
    const buf_t *answer = &call->fetch.answer;
    if (!memmem(answer->ptr, answer->len, text, strlen(text)))
        fail_msg("no %s in: %.*s", text, (int)answer->len, answer->ptr);
}

static void requests_carry_method_headers_and_body(void **state) {
    (void)state;
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
    fetch_header_t headers[] = {{"X-Shop", "acme"}, {"X-Empty", ""}};
    for (size_t i = 0; i < 4; i++) {
        call_t call;
        char line[32];
        prepare(&call, "/echo");
        call.fetch.method = methods[i];
        call.fetch.headers = headers;
        call.fetch.nheaders = 2;
        call.fetch.has_body = true;
        call.fetch.body = SPAN("a\0b");
        run(&call);
        assert_int_equal(call.fetch.status, 201);
        snprintf(line, sizeof line, "%s /echo HTTP/1.1\r\n", methods[i]);
        assert_has(&call, line);
        assert_has(&call, "X-Shop: acme\r\n");
        assert_has(&call, "X-Empty:\r\n");
        assert_has(&call, "Content-Length: 3\r\n");
        assert_memory_equal(call.fetch.answer.ptr + call.fetch.answer.len - 3, "a\0b", 3);
        fetch_clear(&call.fetch);
    }
}

static void a_post_without_a_body_says_so(void **state) {
    (void)state;
    call_t call;
    prepare(&call, "/echo");
    call.fetch.method = "POST";
    run(&call);
    assert_int_equal(call.fetch.err, 0);
    assert_has(&call, "Content-Length: 0\r\n");
    fetch_clear(&call.fetch);
}

static void connections_are_reused(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        call_t call;
        prepare(&call, "/hello");
        run(&call);
        assert_int_equal(call.fetch.status, 200);
        fetch_clear(&call.fetch);
    }
    assert_int_equal(stub.connections, 1);
}

static void redirects_are_followed_when_asked(void **state) {
    (void)state;
    call_t call;
    prepare(&call, "/redirect/4");
    run(&call);
    assert_int_equal(call.fetch.status, 302);
    fetch_clear(&call.fetch);
    prepare(&call, "/redirect/4");
    call.fetch.redirects = 5;
    run(&call);
    assert_int_equal(call.fetch.status, 200);
    assert_true(span_eq(buf_view(&call.fetch.answer), SPAN("hello")));
    assert_null(memmem(call.fetch.head.ptr, call.fetch.head.len, "x-hop", 5));
    fetch_clear(&call.fetch);
    prepare(&call, "/redirect/5");
    call.fetch.redirects = 5;
    assert_fails(&call, ERR_UNAVAILABLE);
    prepare(&call, "/to-file");
    call.fetch.redirects = 5;
    assert_fails(&call, ERR_INVALID);
}

static void large_answers_are_cut_off(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int err;
    } cases[] = {{"/body/1000", 0}, {"/body/1001", ERR_TOO_LARGE}, {"/sized/1000", 0},
        {"/sized/1001", ERR_TOO_LARGE}, {"/body/90000", ERR_TOO_LARGE},
        {"/headers", ERR_TOO_LARGE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        call_t call;
        prepare(&call, cases[i].path);
        call.fetch.max_bytes = 1000;
        if (cases[i].err) {
            assert_fails(&call, cases[i].err);
            continue;
        }
        run(&call);
        assert_int_equal(call.fetch.err, 0);
        assert_int_equal(call.fetch.answer.len, 1000);
        fetch_clear(&call.fetch);
    }
}

/* A connection that an allowed fetch has left open must not carry one that is not allowed. */
static void private_addresses_are_refused(void **state) {
    (void)state;
    call_t call;
    prepare(&call, "/hello");
    run(&call);
    assert_int_equal(call.fetch.err, 0);
    fetch_clear(&call.fetch);
    static const char *const hosts[] = {
        "127.0.0.1", "localhost", "2130706433", "0x7f.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        prepare(&call, "/hello");
        snprintf(call.url, sizeof call.url, "http://%s:%d/hello", hosts[i], stub.port);
        call.fetch.allow_private = false;
        assert_fails(&call, ERR_DENIED);
    }
    assert_int_equal(stub.requests, 1);
}

static void a_silent_server_times_out(void **state) {
    (void)state;
    call_t call;
    prepare(&call, "/silent");
    call.fetch.timeout_ms = 50;
    assert_fails(&call, ERR_TIMEOUT);
}

static void broken_connections_are_named(void **state) {
    (void)state;
    call_t call;
    prepare(&call, "/close");
    assert_fails(&call, ERR_CLOSED);
    prepare(&call, "/hello");
    snprintf(call.url, sizeof call.url, "https://127.0.0.1:%d/hello", stub.port); /* no TLS there */
    assert_fails(&call, ERR_UNAVAILABLE);
}

static void nobody_listens(void **state) {
    (void)state;
    stub_t gone;
    loop_t *other = loop_new();
    stub_start(&gone, other);
    loop_delete(other); /* now its port is free */
    call_t call;
    prepare(&call, "/hello");
    snprintf(call.url, sizeof call.url, "http://127.0.0.1:%d/hello", gone.port);
    assert_fails(&call, ERR_UNAVAILABLE);
}

static void wrong_requests_never_start(void **state) {
    (void)state;
    static const struct {
        const char *method, *url, *name, *value;
        int redirects;
        bool body;
    } cases[] = {
        {"BREW", "http://a/", NULL, NULL, 0, false},
        {"get", "http://a/", NULL, NULL, 0, false},
        {"GET", "ftp://a/", NULL, NULL, 0, false},
        {"GET", "file:///etc/passwd", NULL, NULL, 0, false},
        {"GET", "a/", NULL, NULL, 0, false},
        {"GET", "http://", NULL, NULL, 0, false},
        {"GET", "http://a/ b", NULL, NULL, 0, false},
        {"GET", "http://a/\r\nX: y", NULL, NULL, 0, false},
        {"GET", "http://a/", "X Y", "z", 0, false},
        {"GET", "http://a/", "", "z", 0, false},
        {"GET", "http://a/", "X:", "z", 0, false},
        {"GET", "http://a/", "X", "a\r\nY: b", 0, false},
        {"GET", "http://a/", "Content-Length", "5", 0, false},
        {"GET", "http://a/", "transfer-encoding", "chunked", 0, false},
        {"GET", "http://a/", NULL, NULL, 6, false},
        {"PUT", "http://a/", NULL, NULL, 1, false},
        {"GET", "http://a/", NULL, NULL, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        call_t call;
        fetch_header_t header = {cases[i].name, cases[i].value};
        prepare(&call, "");
        call.fetch.method = cases[i].method;
        call.fetch.url = cases[i].url;
        call.fetch.headers = &header;
        call.fetch.nheaders = cases[i].name ? 1 : 0;
        call.fetch.redirects = cases[i].redirects;
        call.fetch.has_body = cases[i].body;
        assert_int_equal(client_start(client, &call.fetch), ERR_INVALID);
        assert_true(call.fetch.detail[0] != '\0');
    }
    loop_turn(loop, 0);
}

static void turns_and_places_are_bounded(void **state) {
    (void)state;
    call_t running, waiting, refused;
    prepare(&running, "/silent");
    prepare(&waiting, "/hello");
    prepare(&refused, "/hello");
    start(&running);
    while (!stub.requests)
        loop_turn(loop, PLENTY_MS);
    start(&waiting);
    assert_int_equal(client_start(client, &refused.fetch), ERR_BUSY);
    assert_int_equal(stub.requests, 1);
    client_cancel(&running.fetch);
    assert_int_equal(running.done, 0); /* never inside the call */
    wait_for(&waiting);
    assert_int_equal(waiting.fetch.status, 200);
    assert_int_equal(running.done, 1);
    assert_int_equal(running.fetch.err, ERR_CANCELLED);
    assert_int_equal(refused.done, 0);
    fetch_clear(&waiting.fetch);
}

static void a_cancel_drops_the_connection(void **state) {
    (void)state;
    call_t call;
    prepare(&call, "/silent");
    start(&call);
    while (!stub.requests)
        loop_turn(loop, PLENTY_MS);
    client_cancel(&call.fetch);
    client_cancel(&call.fetch);
    while (stub.open)
        loop_turn(loop, PLENTY_MS);
    assert_int_equal(call.done, 1);
    assert_int_equal(call.fetch.err, ERR_CANCELLED);
}

/* Cancelled in every early turn: while libcurl is opened, before the connection, before the request. */
static void a_cancel_may_come_at_any_time(void **state) {
    (void)state;
    for (int turns = 0; turns < 10; turns++) {
        call_t call;
        prepare(&call, "/hello");
        snprintf(call.url, sizeof call.url, "http://localhost:%d/hello", stub.port);
        start(&call);
        for (int i = 0; i < turns && !call.done; i++)
            loop_turn(loop, 0);
        client_cancel(&call.fetch);
        wait_for(&call);
        assert_true(call.fetch.err == ERR_CANCELLED || call.fetch.status == 200);
        fetch_clear(&call.fetch);
    }
}

static void the_end_of_the_loop_ends_every_fetch(void **state) {
    (void)state;
    call_t running, waiting;
    prepare(&running, "/silent");
    prepare(&waiting, "/hello");
    start(&running);
    while (!stub.requests)
        loop_turn(loop, PLENTY_MS);
    start(&waiting);
    loop_delete(loop);
    loop = NULL;
    assert_int_equal(running.done, 1);
    assert_int_equal(waiting.done, 1);
    assert_int_equal(running.fetch.err, ERR_CLOSED);
    assert_int_equal(waiting.fetch.err, ERR_CLOSED);
}

static void the_loop_may_end_while_the_library_opens(void **state) {
    (void)state;
    call_t call;
    prepare(&call, "/hello");
    start(&call);
    loop_delete(loop);
    loop = NULL;
    assert_int_equal(call.done, 1);
    assert_int_equal(call.fetch.err, ERR_CLOSED);
    fetch_clear(&call.fetch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_client, close_client)
#define NARROW(name) cmocka_unit_test_setup_teardown(name, open_narrow, close_client)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_loop_may_end_while_the_library_opens),
        TEST(an_answer_comes_whole),
        TEST(requests_carry_method_headers_and_body),
        TEST(a_post_without_a_body_says_so),
        TEST(connections_are_reused),
        TEST(redirects_are_followed_when_asked),
        TEST(large_answers_are_cut_off),
        TEST(private_addresses_are_refused),
        TEST(a_silent_server_times_out),
        TEST(broken_connections_are_named),
        TEST(nobody_listens),
        TEST(wrong_requests_never_start),
        NARROW(turns_and_places_are_bounded),
        TEST(a_cancel_drops_the_connection),
        TEST(a_cancel_may_come_at_any_time),
        NARROW(the_end_of_the_loop_ends_every_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
