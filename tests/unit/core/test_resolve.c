/* test_resolve.c: how the tenant of a host is found, shared, kept, forgotten, and served while its store is away. */
#include "core/whole.h"
#include "resolve.h"

/* A resolve whose answers, and whose pace, a test decides through globals of the VM. */
#define MAIN_SLOW                                                                                  \
    "count = 0\n"                                                                                  \
    "local function resolve(kind, text)\n"                                                         \
    "  count = count + 1\n"                                                                        \
    "  local seen = name\n"                                                                        \
    "  while held do sleep(1) end\n"                                                               \
    "  if mode == 'error' then error('the store is away') end\n"                                   \
    "  if mode == 'failure' then return nil, 'the store is away', 'unavailable' end\n"             \
    "  if mode == 'odd' then return nil, {}, {} end\n"                                             \
    "  if mode == 'bad' then return { slug = 'acme', settings = { currency = 'XXXX' } } end\n"     \
    "  if mode == 'none' then return nil end\n"                                                    \
    "  return { id = kind, slug = text:match('^[a-z]+'), name = seen }\n"                          \
    "end\n"                                                                                        \
    "return { routes = { ['GET /api/name'] = function(req) return req.tenant.name or 'none' end,"  \
    "  ['GET /api/id'] = function(req) return req.tenant.id .. req.tenant.slug end }" MAIN_TAIL

static whole_t whole;

static int set_up(void **state) {
    (void)state;
    whole_create(&whole);
    whole.config.trust_tenant_header = true;
    whole_start(&whole, MAIN_SLOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    whole_stop(&whole);
    return 0;
}

static lua_State *vm(void) {
    return server_app(whole.server)->vm->L;
}

static void set_text(const char *name, const char *text) {
    lua_pushstring(vm(), text);
    lua_setglobal(vm(), name);
}

static void hold(bool held) {
    lua_pushboolean(vm(), held);
    lua_setglobal(vm(), "held");
}

static int lookups(void) {
    lua_getglobal(vm(), "count");
    int count = (int)lua_tointeger(vm(), -1);
    lua_pop(vm(), 1);
    return count;
}

static void expect_name(const char *name) {
    char body[100];
    snprintf(body, sizeof body, "\r\n\r\n%s", name);
    whole_expect(&whole, 200, "GET /api/name", NULL, body);
}

static void a_tenant_is_looked_up_once(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        whole_expect(&whole, 200, "GET /api/id", NULL, "\r\n\r\nhostacme");
    assert_int_equal(lookups(), 1);
    whole_expect(&whole, 200, "GET /api/id", "X-Tenant-ID: tokyo\r\n\r\n", "\r\n\r\nheadertokyo");
    assert_int_equal(lookups(), 2);
}

static void the_header_counts_only_when_trusted(void **state) {
    (void)state;
    whole.services.config.trust_tenant_header = false;
    whole_expect(&whole, 200, "GET /api/id", "X-Tenant-ID: tokyo\r\n\r\n", "\r\n\r\nhostacme");
}

static void many_wait_for_one_lookup(void **state) {
    (void)state;
    client_t clients[5];
    hold(true);
    for (int i = 0; i < 5; i++)
        whole_send(&whole, &clients[i], "acme", "GET /api/id", NULL);
    RIG_UNTIL(&whole.rig, net_count(whole.rig.net) == 5 && lookups() == 1);
    /* One of them leaves. */
    setsockopt(clients[0].fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(clients[0].fd);
    RIG_UNTIL(&whole.rig, net_count(whole.rig.net) == 4);
    hold(false);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(whole_await(&whole, &clients[i]), 200);
        assert_string_equal(whole_body(&clients[i]), "hostacme");
    }
    assert_int_equal(lookups(), 1);
}

static void a_forgotten_tenant_is_looked_up_again(void **state) {
    (void)state;
    set_text("name", "old");
    expect_name("old");
    set_text("name", "new");
    expect_name("old");
    resolve_forget(whole.services.resolve);
    expect_name("new");
}

/* What is forgotten while it is being read may have been read before it changed. */
static void a_lookup_that_was_overtaken_does_not_stay(void **state) {
    (void)state;
    client_t early;
    set_text("name", "old");
    hold(true);
    whole_send(&whole, &early, "acme", "GET /api/name", NULL);
    RIG_UNTIL(&whole.rig, lookups() == 1);
    set_text("name", "new");
    resolve_forget(whole.services.resolve);
    hold(false);
    assert_int_equal(whole_await(&whole, &early), 200);
    expect_name("new");
}

static void without_its_store_a_known_tenant_is_served(void **state) {
    static const char *const MODES[] = {"error", "failure", "odd", "bad"};
    (void)state;
    set_text("name", "known");
    expect_name("known");
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
        set_text("mode", MODES[i]);
        resolve_forget(whole.services.resolve);
        int before = lookups();
        expect_name("known");
        expect_name("known");
        /* And not every request asks the store that is away. */
        assert_int_equal(lookups(), before + 1);
    }
}

static void without_its_store_an_unknown_tenant_is_unavailable(void **state) {
    (void)state;
    set_text("mode", "error");
    whole_expect(&whole, 503, "GET /api/name", NULL, "unavailable");
    set_text("mode", "failure");
    whole_expect(&whole, 503, "GET /api/name", NULL, "unavailable");
    set_text("mode", "odd");
    whole_expect(&whole, 500, "GET /api/name", NULL, "internal");
    set_text("mode", "none");
    whole_expect(&whole, 404, "GET /api/name", NULL, "not_found");
    set_text("mode", "");
    resolve_forget(whole.services.resolve);
    expect_name("none");
}

/* Who waits for a lookup does not wait longer than for anything else. */
static void a_lookup_has_a_deadline(void **state) {
    (void)state;
    whole.services.config.request_ms = 20;
    hold(true);
    whole_expect(&whole, 503, "GET /api/name", NULL, "unavailable");
    hold(false);
    expect_name("none");
}

/* The client is gone, the lookup goes on; then the server ends. */
static void a_lookup_ends_with_the_server(void **state) {
    (void)state;
    client_t client;
    hold(true);
    whole_send(&whole, &client, "acme", "GET /api/id", NULL);
    RIG_UNTIL(&whole.rig, lookups() == 1);
    close(client.fd);
}

static int found_count, found_err;

static void on_found(void *data, request_t *request, int err) {
    (void)data;
    found_count++;
    found_err = err;
    settings_unref(request->settings);
    request->settings = NULL;
}

static void ask(resolve_t *resolve, const char *host) {
    exchange_t exchange = {.host = span_of(host)};
    request_t request = {.exchange = &exchange};
    list_init(&request.waiting);
    resolve_request(resolve, &request);
}

/* Hosts are the clients' choice. Those longest unused go, so that a shop that is asked for stays. */
static void strangers_do_not_push_out_a_shop(void **state) {
    (void)state;
    resolve_t *resolve = resolve_new(&whole.services, on_found, NULL);
    ask(resolve, "acme");
    int before = lookups();
    set_text("mode", "none");
    for (int i = 0; i < 21000; i++) {
        char host[20];
        snprintf(host, sizeof host, "h%d", i);
        ask(resolve, host);
        if (i % 1000 == 0) ask(resolve, "acme");
    }
    assert_int_equal(lookups(), before + 21000);
    ask(resolve, "h20999");
    assert_int_equal(lookups(), before + 21000);
    ask(resolve, "h0");
    assert_int_equal(lookups(), before + 21001);
    found_err = -1;
    ask(resolve, "acme");
    assert_int_equal(found_err, 0);
    char longest[400];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    ask(resolve, longest);
    assert_int_equal(found_err, ERR_NOT_FOUND);
    assert_int_equal(lookups(), before + 21001);
    resolve_delete(resolve);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_tenant_is_looked_up_once),
        CASE(the_header_counts_only_when_trusted),
        CASE(many_wait_for_one_lookup),
        CASE(a_forgotten_tenant_is_looked_up_again),
        CASE(a_lookup_that_was_overtaken_does_not_stay),
        CASE(without_its_store_a_known_tenant_is_served),
        CASE(without_its_store_an_unknown_tenant_is_unavailable),
        CASE(a_lookup_has_a_deadline),
        CASE(a_lookup_ends_with_the_server),
        CASE(strangers_do_not_push_out_a_shop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
