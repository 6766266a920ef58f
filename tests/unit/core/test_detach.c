/* test_detach.c: what a detached function returns or raises, who leaves it or waits for less, its deadline, and the end
   of the server. */
#include "core/whole.h"

#define DETACH(body)                                                                               \
    "local detach = require 'detach'\n" MAIN_HEAD "return { routes = { " body " }" MAIN_TAIL

static void its_results_arrive(void **state) {
    (void)state;
    whole_t whole;
    whole_open(
        &whole, DETACH("['GET /api/values'] = function() return { detach(function() sleep(1)"
                       "   return 1, 'two', { three = 3 } end) } end,"
                       "['GET /api/none'] = function() return { detach(function() end) } end,"
                       "['GET /api/raised'] = function()"
                       "   local ok, value, text = detach(function() error({ a = 1 }) end)"
                       "   return { ok = ok, value = value, text = text ~= nil } end,"
                       "['GET /api/fault'] = function()"
                       "   local ok, value, text = detach(function() sleep(1) error('oh no') end)"
                       "   return text end,"
                       "['GET /api/nested'] = function() return { detach(function()"
                       "   return detach(function() sleep(1) return 'deep' end) end) } end"));
    whole_expect(&whole, 200, "GET /api/values", NULL, "[true,1,\"two\",{\"three\":3}]");
    whole_expect(&whole, 200, "GET /api/none", NULL, "[true]");
    whole_expect(
        &whole, 200, "GET /api/raised", NULL, "{\"ok\":false,\"text\":true,\"value\":{\"a\":1}}");
    whole_expect(&whole, 200, "GET /api/fault", NULL, "oh no");
    assert_non_null(strstr(whole.client.got, "stack traceback"));
    whole_expect(&whole, 200, "GET /api/nested", NULL, "[true,true,\"deep\"]");
    whole_stop(&whole);
}

static void who_leaves_does_not_end_it(void **state) {
    (void)state;
    whole_t whole;
    client_t leaver;
    whole_open(
        &whole, DETACH("['GET /api/run'] = function() detach(function() at = 'begun' go:wait(60000)"
                       "  at = 'done' end) at = 'waited for' end,"
                       "['GET /api/go'] = function() go:fire() end,"
                       "['GET /api/at'] = function() return at end"));
    vm_t *vm = server_app(whole.server)->vm;
    luaL_dostring(vm->L, "go = require('signal').new()");
    whole_send(&whole, &leaver, "acme", "GET /api/run", NULL);
    RIG_UNTIL(&whole.rig, vm->children == 2);
    setsockopt(leaver.fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(leaver.fd);
    RIG_UNTIL(&whole.rig, vm->children == 1);
    whole_expect(&whole, 200, "GET /api/at", NULL, "begun");
    whole_expect(&whole, 204, "GET /api/go", NULL, "204");
    RIG_UNTIL(&whole.rig, vm->children == 0);
    whole_expect(&whole, 200, "GET /api/at", NULL, "done");
    assert_int_equal(whole.services.ndetached, 0);
    whole_stop(&whole);
}

static void its_deadline_is_its_own(void **state) {
    (void)state;
    whole_t whole;
    whole_create(&whole);
    whole.config.request_ms = 300;
    whole_start(&whole,
        DETACH("['GET /api/sooner'] = function() return { detach(function() sleep(60000)"
               "  sleep(60000) end, -250) } end,"
               "['GET /api/later'] = function() detach(function() sleep(500) later = 'yes' end,"
               "  60000) end,"
               "['GET /api/later/done'] = function() return later or 'no' end"));
    vm_t *vm = server_app(whole.server)->vm;
    whole_expect(&whole, 200, "GET /api/sooner", NULL, "\"timeout\"]");
    /* Its wait is cut at the request's deadline, and the handler goes on; the function does too. */
    whole_expect(&whole, 204, "GET /api/later", NULL, "204");
    RIG_UNTIL(&whole.rig, vm->children == 0);
    whole_expect(&whole, 200, "GET /api/later/done", NULL, "yes");
    whole_stop(&whole);
}

static void who_waits_may_wait_for_less(void **state) {
    (void)state;
    whole_t whole;
    whole_open(
        &whole, DETACH("['GET /api/run'] = function() return { name = select(3, detach(function()"
                       "  go:wait(60000) at = 'done' end, 0, 1)) } end,"
                       "['GET /api/enough'] = function() return { detach(function() return 1 end,"
                       "  0, 60000) } end,"
                       "['GET /api/wrong'] = function() return { pcall(detach, print, 0, -1) } end,"
                       "['GET /api/go'] = function() go:fire() end,"
                       "['GET /api/at'] = function() return at or 'running' end"));
    vm_t *vm = server_app(whole.server)->vm;
    luaL_dostring(vm->L, "go = require('signal').new()");
    whole_expect(&whole, 200, "GET /api/run", NULL, "{\"name\":\"timeout\"}");
    whole_expect(&whole, 200, "GET /api/at", NULL, "running");
    whole_expect(&whole, 204, "GET /api/go", NULL, "204");
    RIG_UNTIL(&whole.rig, vm->children == 0);
    whole_expect(&whole, 200, "GET /api/at", NULL, "done");
    whole_expect(&whole, 200, "GET /api/enough", NULL, "[true,1]");
    whole_expect(&whole, 200, "GET /api/wrong", NULL, "up to a minute");
    whole_stop(&whole);
}

static void the_end_of_the_server_ends_it(void **state) {
    (void)state;
    whole_t whole;
    client_t leaver, waiter;
    whole_open(&whole, DETACH("['GET /api/run'] = function() detach(function()"
                              "  detach(function() sleep(60000) end) end) end"));
    vm_t *vm = server_app(whole.server)->vm;
    whole_send(&whole, &leaver, "acme", "GET /api/run", NULL);
    RIG_UNTIL(&whole.rig, vm->children == 3);
    setsockopt(leaver.fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(leaver.fd);
    RIG_UNTIL(&whole.rig, vm->children == 2);
    whole_send(&whole, &waiter, "acme", "GET /api/run", NULL);
    RIG_UNTIL(&whole.rig, vm->children == 5);
    whole_stop(&whole);
    close(waiter.fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_results_arrive),
        cmocka_unit_test(who_leaves_does_not_end_it),
        cmocka_unit_test(its_deadline_is_its_own),
        cmocka_unit_test(who_waits_may_wait_for_less),
        cmocka_unit_test(the_end_of_the_server_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
