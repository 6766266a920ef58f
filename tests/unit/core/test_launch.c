/* test_launch.c: what main.lua may declare, what is refused with a sentence, and when an edition goes. */
#include "core/whole.h"
#include "background.h"

static whole_t whole;

static int set_up(void **state) {
    (void)state;
    whole_open(&whole, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    whole_stop(&whole);
    return 0;
}

static void expect_refused(const char *main, const char *part) {
    char why[1000] = "";
    app_t *app = whole_load(&whole, main, why, sizeof why);
    if (app || !strstr(why, part)) fail_msg("expected \"%s\", got \"%s\" of %s", part, why, main);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    expect_refused("return", "main.lua: it does not return a table");
    expect_refused("return {}", "main.lua: there is no table routes");
    expect_refused("return { routes = {} }", "there is no table tenants");
    expect_refused("return { routes = {}, tenants = {} }", "tenants.resolve is not a function");
    expect_refused("return { routes = {}, tenants = { resolve = print } }", "tenants.seed is not");
    expect_refused("return { routes = {}, tenants = { resolve = print, seed = print } }",
        "there is no table tenant_shop");
    expect_refused("return 1 +", "main.lua:1:");
    expect_refused("error('at once')", "main.lua:1: at once");
    expect_refused("require 'nothing'", "no module 'nothing' in the edition");
    expect_refused("while true do end return x +", "main.lua:1:");
    expect_refused(MAIN("[1] = print"), "a route's name is not text");
    expect_refused(MAIN("['GET x'] = print"), "\"GET x\"");
    expect_refused(MAIN("['FETCH /x'] = print"), "\"FETCH /x\"");
    expect_refused(MAIN("['GET /x'] = 7"), "the route GET /x is not a function");
    expect_refused(MAIN("['GET /x'] = {}"), "the route GET /x is not a function");
    expect_refused(MAIN("['GET /:a'] = print, ['GET /:b'] = print"), "there already");
}

/* A role that is not understood must not leave the route open. */
static void a_role_is_a_text(void **state) {
    static const char *const ROLES[] = {
        "7", "true", "{ 'owner' }", "''", "'an-owner-with-a-long-name'"};
    (void)state;
    for (size_t i = 0; i < sizeof ROLES / sizeof *ROLES; i++) {
        char main[600];
        snprintf(main, sizeof main, MAIN("['GET /x'] = { run = print, role = %s }"), ROLES[i]);
        expect_refused(main, "the role of GET /x is not a short text");
    }
    static const char *const SIZES[] = {"0", "-1", "0/0", "1e18", "'much'", "{}"};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        char main[600];
        snprintf(main, sizeof main, MAIN("['GET /x'] = { run = print, body_max = %s }"), SIZES[i]);
        expect_refused(main, "body_max of GET /x is not a size");
    }
}

#define BACKGROUND(entry) MAIN_HEAD "return { routes = {}, background = { " entry " }" MAIN_TAIL

static void background_is_checked(void **state) {
    (void)state;
    expect_refused(BACKGROUND("7"), "an entry of background is no table");
    expect_refused(BACKGROUND("{}"), "background has no name");
    expect_refused(BACKGROUND("{ name = 'x', run = print }"), "every_ms of x is not");
    expect_refused(BACKGROUND("{ name = 'x', every_ms = 0, run = print }"), "every_ms of x is not");
    expect_refused(BACKGROUND("{ name = 'x', every_ms = 0/0, run = print }"), "every_ms of x");
    expect_refused(
        BACKGROUND("{ name = 'x', every_ms = 1000, run = 7 }"), "run of x is no function");
}

/* Every allocation of the load fails once: an error with a sentence, and nothing is left. */
static void no_memory_is_an_error(void **state) {
    (void)state;
    char why[1000];
    app_t *app = NULL;
    for (int64_t allowed = 0; !app; allowed += 7) {
        why[0] = '\0';
        vm_fail_next(allowed);
        app = whole_load(&whole, MAIN("['GET /x'] = print"), why, sizeof why);
        vm_fail_next(-1);
        assert_in_range(allowed, 0, 100000);
        if (!app) assert_string_not_equal(why, "");
        loop_turn(whole.rig.loop, 0);
    }
    app->vm->fail_after = -1;
    app_unref(app);
}

static void background_runs_again_and_again_and_ends(void **state) {
    (void)state;
    char why[1000] = "";
    app_t *app = whole_load(&whole,
        "runs, fails, waits = 0, 0, 0 " BACKGROUND(
            "{ name = 'runs', every_ms = 10, run = function() runs = runs + 1 sleep(1) end },"
            "{ name = 'fails', every_ms = 10, run = function() fails = fails + 1 error('x') end },"
            "{ name = 'waits', every_ms = 10, run = function() waits = waits + 1 sleep(60000) end "
            "}"),
        why, sizeof why);
    if (!app) fail_msg("%s", why);
    background_t *background = background_new(app);
    vm_t *vm = app->vm;
    app_unref(app);
    int counts[3] = {0};
    while (counts[0] < 3 || counts[1] < 3 || counts[2] < 1) {
        static const char *const NAMES[] = {"runs", "fails", "waits"};
        loop_turn(whole.rig.loop, 20);
        for (int i = 0; i < 3; i++) {
            lua_getglobal(vm->L, NAMES[i]);
            counts[i] = (int)lua_tointeger(vm->L, -1);
            lua_pop(vm->L, 1);
        }
    }
    assert_int_equal(counts[2], 1);
    background_delete(background);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_wrong_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_role_is_a_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(background_is_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            background_runs_again_and_again_and_ends, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
