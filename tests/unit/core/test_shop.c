/* test_shop.c: a tenant's own pages over the whole server: their calls of shop, and what happens when one is cut
   short. */
#include "core/whole.h"
#include "sites.h"

/* The services behind `shop`, some of which wait. */
#define MAIN_SHOP                                                                                  \
    MAIN_HEAD "calls = 0\n"                                                                        \
              "local shop = {}\n"                                                                  \
              "shop['products.get'] = function(tenant, session, id, more)\n"                       \
              "  calls = calls + 1\n"                                                              \
              "  return { tenant = tenant.slug, session = session, id = id, more = more } end\n"   \
              "shop['products.by_sku'] = function(tenant, session, sku)\n"                         \
              "  calls = calls + 1 while not go do sleep(1) end return sku end\n"                  \
              "shop['products.find'] = function() error('secret') end\n"                           \
              "shop['products.search'] = function() error({ __answer = true, status = 503,\n"      \
              "  json = { code = 'busy', detail = 'later' } }, 0) end\n"                           \
              "shop['cart.get'] = function() return nil, 'no', 'conflict' end\n"                   \
              "shop['cache.get'] = function() return print end\n"                                  \
              "shop['cache.set'] = function() return end\n"                                        \
              "shop['config'] = function(tenant) return tenant end\n"                              \
              "return { routes = { ['GET /api/go'] = function() go = true end },\n"                \
              "  tenants = { resolve = resolve, seed = function() end }, tenant_shop = shop }\n"

static whole_t whole;

static int set_up(void **state) {
    (void)state;
    whole_open(&whole, MAIN_SHOP);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    whole_stop(&whole);
    return 0;
}

static void expect(int status, const char *line, const char *text) {
    whole_expect(&whole, status, line, NULL, text);
}

static int calls(void) {
    lua_State *L = server_app(whole.server)->vm->L;
    lua_getglobal(L, "calls");
    int count = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return count;
}

static void go(void) {
    lua_State *L = server_app(whole.server)->vm->L;
    lua_pushboolean(L, 1);
    lua_setglobal(L, "go");
}

static void a_call_is_scoped_to_the_tenant(void **state) {
    (void)state;
    whole_routes(&whole, "acme",
        "return { ['GET /get/:id'] = function(req, shop)"
        "  return shop.products.get(req.params.id, { a = { 1, 2 } }) end }");
    whole_expect(&whole, 200, "GET /get/7", "X-Session-ID: 0123456789abcdef\r\n\r\n",
        "{\"id\":\"7\",\"more\":{\"a\":[1,2]},\"session\":\"0123456789abcdef\",\"tenant\":"
        "\"acme\"}");
    expect(200, "GET /get/7", "{\"id\":\"7\",\"more\":{\"a\":[1,2]},\"tenant\":\"acme\"}");
}

static void a_failure_is_nil_text_and_name(void **state) {
    (void)state;
    whole_routes(&whole, "acme",
        "local function names(...) local _, text, name = ... return { text, name } end "
        "return { ['GET /f'] = function(req, shop) return {"
        "  names(shop.products.find {}), names(shop.products.search {}), names(shop.cart.get()),"
        "  names(shop.orders.mine()) } end,"
        "['GET /odd'] = function(req, shop) return names(shop.cache.get 'x') end,"
        "['GET /nil'] = function(req, shop) return { shop.cache.set('x', 'y') == nil } end }");
    expect(200, "GET /f",
        "[[\"the service failed\",\"internal\"],[\"later\",\"busy\"],[\"no\",\"conflict\"],"
        "[\"the service failed\",\"internal\"]]");
    expect(200, "GET /odd", "[\"a function is not plain data\",\"internal\"]");
    expect(200, "GET /nil", "[true]");
}

static void what_is_no_plain_data_does_not_leave_the_vm(void **state) {
    (void)state;
    whole_routes(&whole, "acme",
        "return { ['GET /a'] = function(req, shop) return shop.products.get(function() end) end,"
        "['GET /b'] = function(req, shop) local t = {} t.t = t return shop.products.get(t) end }");
    expect(500, "GET /a", "the shop's own code");
    expect(500, "GET /b", "the shop's own code");
    assert_int_equal(calls(), 0);
}

static void who_leaves_ends_the_call(void **state) {
    (void)state;
    client_t leaver;
    whole_routes(&whole, "acme",
        "return { ['GET /w'] = function(req, shop) shop.products.by_sku 'a' end,"
        "['GET /all'] = function(req, shop) shop.all { function() shop.products.by_sku 'a' end,"
        "  function() shop.products.by_sku 'b' end } end }");
    vm_t *vm = server_app(whole.server)->vm;
    static const char *const LINES[] = {"GET /w", "GET /all"};
    for (int i = 0; i < 2; i++) {
        whole_send(&whole, &leaver, "acme", LINES[i], NULL);
        RIG_UNTIL(&whole.rig, vm->children == (size_t)i + 1);
        setsockopt(leaver.fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(leaver.fd);
        RIG_UNTIL(&whole.rig, vm->children == 0);
    }
    assert_int_equal(calls(), 3);
}

static void the_end_of_the_server_ends_a_call(void **state) {
    (void)state;
    client_t client;
    whole_routes(
        &whole, "acme", "return { ['GET /w'] = function(req, shop) shop.products.by_sku 'a' end }");
    whole_send(&whole, &client, "acme", "GET /w", NULL);
    RIG_UNTIL(&whole.rig, calls() == 1);
    close(client.fd);
}

static void a_request_inside_keeps_its_edition(void **state) {
    (void)state;
    client_t inside;
    whole_routes(&whole, "acme",
        "return { ['GET /w'] = function(req, shop) return shop.products.by_sku 'old' end }");
    whole_send(&whole, &inside, "acme", "GET /w", NULL);
    RIG_UNTIL(&whole.rig, calls() == 1);
    whole_routes(&whole, "acme", "return { ['GET /n'] = function() return 'new' end }");
    expect(200, "GET /n", "\r\n\r\nnew");
    expect(404, "GET /w", "");
    go();
    assert_int_equal(whole_await(&whole, &inside), 200);
    assert_string_equal(whole_body(&inside), "old");
    expect(200, "GET /n", "\r\n\r\nnew");
}

/* The first of two pipelined requests waits: the second is answered, and its site goes, before its answer may leave. */
static void a_late_answer_outlives_its_site(void **state) {
    (void)state;
    client_t client;
    whole_routes(&whole, "acme",
        "return { ['GET /w'] = function(req, shop) return shop.products.by_sku 'first' end,"
        "['GET /q/:any'] = function(req, shop) return 'second' end }");
    client_open(&client, &whole.rig);
    client_send(&client, "GET /w HTTP/1.1\r\nHost: acme.localhost\r\n\r\n"
                         "GET /q/x HTTP/1.1\r\nHost: acme.localhost\r\nConnection: close\r\n\r\n");
    RIG_UNTIL(&whole.rig, calls() == 1);
    whole_routes(&whole, "acme", "return {}");
    expect(404, "GET /q/x", "");
    for (int i = 0; i < 5; i++)
        loop_turn(whole.rig.loop, 1);
    go();
    whole_await(&whole, &client);
    assert_int_equal(client_count(&client, "200 OK"), 2);
    assert_non_null(strstr(client.got, "\r\n\r\nsecond"));
}

static void paths_of_the_platform_never_reach_a_tenant(void **state) {
    (void)state;
    whole_routes(&whole, "acme",
        "return { ['GET /:a'] = function() return 'mine' end,"
        " ['GET /:a/:b'] = function() return 'mine' end }");
    expect(200, "GET /x", "mine");
    expect(404, "GET /api", "");
    expect(404, "GET /api/x", "");
    expect(404, "GET /API/x", "");
    expect(404, "GET /openapi.json", "");
    expect(404, "GET /api/go/", "");
}

static void other_methods_are_named(void **state) {
    (void)state;
    whole_routes(&whole, "acme", "return { ['POST /form'] = function() return 'ok' end }");
    expect(405, "GET /form", "Allow: POST, OPTIONS\r\n");
    expect(204, "OPTIONS /form", "Allow: POST, OPTIONS\r\n");
}

/* The check refuses such an edition; should one get through, its pages are away, not unknown, and the API works. */
static void routes_that_do_not_open_are_unavailable(void **state) {
    (void)state;
    whole_routes(&whole, "acme", "error 'at once'");
    expect(503, "GET /x", "the shop's own pages are not available");
    expect(204, "GET /api/go", "");
    whole_routes(&whole, "acme", "return { ['GET /x'] = function() return 'back' end }");
    expect(200, "GET /x", "back");
    whole_routes(&whole, "acme", "-- nothing\n");
    expect(404, "GET /x", "");
}

static void three_kills_and_the_shop_rests(void **state) {
    (void)state;
    whole_routes(&whole, "acme",
        "return { ['GET /endless'] = function() while true do end end,"
        "['GET /x'] = function() return 'x' end }");
    int refused = 0;
    for (int i = 0; i < 10 && !refused; i++) {
        int status = whole_ask(&whole, "GET /endless", NULL);
        refused = status == 503;
        if (status != 503) assert_int_equal(status, 500);
    }
    assert_true(refused);
    expect(503, "GET /x", "busy");
    expect(204, "GET /api/go", "");
}

static void the_headers_of_an_answer_have_a_bound(void **state) {
    (void)state;
    whole_routes(&whole, "acme",
        "return { ['GET /h/:n'] = function(req, shop) return shop.answer {"
        " headers = { ['X-A'] = string.rep('a', tonumber(req.params.n)) } } end }");
    expect(200, "GET /h/4000", "X-A: aaa");
    expect(500, "GET /h/9000", "the shop's own code");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_call_is_scoped_to_the_tenant),
        CASE(a_failure_is_nil_text_and_name),
        CASE(what_is_no_plain_data_does_not_leave_the_vm),
        CASE(who_leaves_ends_the_call),
        CASE(the_end_of_the_server_ends_a_call),
        CASE(a_request_inside_keeps_its_edition),
        CASE(a_late_answer_outlives_its_site),
        CASE(paths_of_the_platform_never_reach_a_tenant),
        CASE(other_methods_are_named),
        CASE(routes_that_do_not_open_are_unavailable),
        CASE(three_kills_and_the_shop_rests),
        CASE(the_headers_of_an_answer_have_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
