/* test_http_lua.c: what a script sees of the HTTP client: answers, errors by name, refused arguments, letting go. */
#include "lua/bench.h"
#include "bindings/http_stub.h"
#include "http/http_lua.h"

typedef struct shop {
    bench_t *bench;
    stub_t stub;
} shop_t;

static int open_shop(void **state, bool allow_private) {
    shop_t *shop = calloc(1, sizeof *shop);
    bench_open((void **)&shop->bench);
    stub_start(&shop->stub, shop->bench->loop);
    client_options_t options = {.loop = shop->bench->loop};
    client_t *client = client_new(&options);
    assert_non_null(client);
    assert_int_equal(http_lua_open(shop->bench->vm, client, allow_private), 0);
    *state = shop;
    return 0;
}

static int open_trusted(void **state) {
    return open_shop(state, true);
}

static int open_tenant(void **state) {
    return open_shop(state, false);
}

static int close_shop(void **state) {
    shop_t *shop = *state;
    bench_close((void **)&shop->bench);
    free(shop);
    return 0;
}

/* The script with a head that gives it `http` and `base`, the server's address. */
static const char *with_head(const shop_t *shop, const char *script, char text[4096]) {
    int len = snprintf(text, 4096, "local http, base = require 'http', 'http://127.0.0.1:%d' %s",
        shop->stub.port, script);
    assert_true(len < 4096);
    return text;
}

static void expect(shop_t *shop, const char *script, const char *result) {
    char text[4096];
    bench_expect(shop->bench, with_head(shop, script, text), result);
}

static void an_answer_is_a_table(void **state) {
    expect(*state,
        "local a = http.get(base .. '/hello', {private = true})\n"
        "return table.concat({a.status, a.body, a.headers['x-word'], #a.headers['set-cookie'],\n"
        "a.headers['set-cookie'][2], tostring(a.headers['x-none'])}, '|')",
        "200|hello|a, b|2|d=2|nil");
}

static void a_post_carries_body_and_headers(void **state) {
    expect(*state,
        "local a = http.post(base .. '/echo', 'n=1', {private = true,\n"
        "headers = {['X-Shop'] = 'acme', ['X-Count'] = 12}})\n"
        "return tostring(a.body:find('^POST /echo ') and a.body:find('X%-Shop: acme\\r\\n')\n"
        "and a.body:find('X%-Count: 12\\r\\n') and a.body:find('\\r\\n\\r\\nn=1$') ~= nil)",
        "true");
    expect(*state,
        "local a = http.request{url = base .. '/echo', method = 'DELETE', private = true}\n"
        "return tostring(a.body:find('^DELETE /echo ') ~= nil)",
        "true");
}

static void redirects_follow_the_method(void **state) {
    const char *script = "local a = http.request{url = base .. '/redirect/2', private = true, %s}\n"
                         "return a.status";
    const struct {
        const char *fields, *status;
    } cases[] = {{"", "200"}, {"follow = false", "302"}, {"follow = 3", "200"},
        {"method = 'POST'", "302"}, {"method = 'POST', follow = true", "200"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, script, cases[i].fields);
        expect(*state, text, cases[i].status);
    }
}

static void failures_are_nil_text_name(void **state) {
    const char *script = "local a, text, name = http.get(base .. %s)\n"
                         "return tostring(a) .. '|' .. type(text) .. '|' .. name";
    const struct {
        const char *arguments, *result;
    } cases[] = {
        {"'/hello'", "nil|string|denied"},
        {"'/close', {private = true}", "nil|string|closed"},
        {"'/body/2000', {private = true, max_bytes = 1999}", "nil|string|too_large"},
        {"'/silent', {private = true, timeout_ms = 30}", "nil|string|timeout"},
        {"'/redirect/9', {private = true}", "nil|string|unavailable"},
        {"'/hello', {private = true, follow = 6}", "nil|string|invalid"},
        {"'/hello', {private = true, follow = 0/0}", "nil|string|invalid"},
        {"'/hello', {private = true, headers = {['X'] = 'a\\r\\nY: b'}}", "nil|string|invalid"},
        {"'/hello', {private = true, headers = {['X'] = 'a\\0b'}}", "nil|string|invalid"},
        {"'/hello\\0/../x', {private = true}", "nil|string|invalid"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, script, cases[i].arguments);
        expect(*state, text, cases[i].result);
    }
}

static void mistakes_raise(void **state) {
    const char *calls[] = {"http.get()", "http.get({})", "http.get('http://a/', 1)",
        "http.get('http://a/', {timeout = 1})", "http.get('http://a/', {1})",
        "http.get('http://a/', {timeout_ms = 0})", "http.get('http://a/', {timeout_ms = 0/0})",
        "http.get('http://a/', {timeout_ms = '5'})", "http.get('http://a/', {max_bytes = 1e12})",
        "http.get('http://a/', {headers = {'a'}})", "http.get('http://a/', {headers = {a = {}}})",
        "http.get('http://a/', {follow = 'yes'})", "http.request{}", "http.request('http://a/')",
        "http.post('http://a/')", "http.post('http://a/', {})",
        "http.get('http://a/', {private = 1})"};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "return tostring(pcall(function() return %s end))", calls[i]);
        expect(*state, text, "false");
    }
}

static void a_tenant_never_reaches_private_addresses(void **state) {
    shop_t *shop = *state;
    expect(shop, "local a, text, name = http.get(base .. '/hello') return name", "denied");
    expect(shop, "return tostring(pcall(http.get, base .. '/hello', {private = true}))", "false");
    assert_int_equal(shop->stub.requests, 0);
}

static void several_wait_side_by_side(void **state) {
    expect(*state,
        "local list = {} for i = 1, 20 do list[i] = function()\n"
        "  return http.get(base .. '/sized/' .. i, {private = true}).body end end\n"
        "local sum = 0 for i, r in ipairs(wait_all(list)) do sum = sum + (#r[1] == i and 1 or "
        "0) end\n"
        "return sum",
        "20");
}

static void a_cancelled_task_drops_its_connection(void **state) {
    shop_t *shop = *state;
    char text[4096];
    run_t run;
    bench_start(shop->bench, &run,
        with_head(shop, "return http.get(base .. '/silent', {private = true})", text), 0);
    while (!shop->stub.requests)
        loop_turn(shop->bench->loop, 50);
    task_cancel(run.task);
    assert_int_equal(run.end, TASK_CANCELLED);
    while (shop->stub.open)
        loop_turn(shop->bench->loop, 50);
}

#define TRUSTED(name) cmocka_unit_test_setup_teardown(name, open_trusted, close_shop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TRUSTED(an_answer_is_a_table),
        TRUSTED(a_post_carries_body_and_headers),
        TRUSTED(redirects_follow_the_method),
        TRUSTED(failures_are_nil_text_name),
        TRUSTED(mistakes_raise),
        cmocka_unit_test_setup_teardown(
            a_tenant_never_reaches_private_addresses, open_tenant, close_shop),
        TRUSTED(several_wait_side_by_side),
        TRUSTED(a_cancelled_task_drops_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
