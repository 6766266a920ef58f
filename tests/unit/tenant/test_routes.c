/* test_routes.c: what routes.lua may declare, and which paths it cannot take. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/err.h"
#include "tenant/reserved.h"
#include "tenant/routes.h"

static loop_t *loop;
static edition_t *edition;
static routes_t *routes;
static sandbox_fault_t fault;

static int open_text(const char *text) {
    sandbox_limits_t limits;
    sandbox_limits_default(&limits);
    assert_int_equal(edition_of_file(RULE_ROUTES, span_of(text), &edition), 0);
    return routes_open(edition, loop, &limits, NULL, NULL, &routes, &fault);
}

static void close_all(void) {
    routes_close(routes);
    edition_unref(edition);
}

static void declared_routes_are_found(void **state) {
    (void)state;
    arena_t arena;
    route_match_t match;
    arena_create(&arena);
    assert_int_equal(open_text("local function f() end\n"
                               "return { ['GET /a'] = f, ['GET /a/:b'] = f, ['POST /a'] = f }"),
        0);
    assert_int_equal(routes_count(routes), 3);
    assert_ptr_equal(routes_edition(routes), edition);
    assert_false(routes_spent(routes));
    assert_int_equal(
        router_match(routes_router(routes), SPAN("GET"), SPAN("/a/7"), &arena, &match), 0);
    assert_non_null(match.route);
    assert_true(span_eq(match.values[0], SPAN("7")));
    arena_destroy(&arena);
    close_all();
}

static void expect_refused(const char *text, int err, const char *part) {
    assert_int_equal(open_text(text), err);
    assert_null(routes);
    assert_int_equal(fault.err, err);
    if (!strstr(fault.text, part)) fail_msg("%s: %s", text, fault.text);
    assert_in_range(fault.line, 1, 9);
    close_all();
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    expect_refused("return 7", ERR_BAD_RESULT, "a value of type number");
    expect_refused("return { 'GET /a' }", ERR_BAD_RESULT, "a name that is not text");
    expect_refused("return { ['GET /a'] = 7 }", ERR_BAD_RESULT, "is not a function");
    expect_refused("return { ['GET a'] = function() end }", ERR_BAD_RESULT,
        "the route \"GET a\": the path must start with /");
    expect_refused("return {\n  ['GET /api/x'] = function() end\n}", ERR_BAD_RESULT, "platform");
    assert_int_equal(fault.line, 2);
    expect_refused("return { ['/a'] = function() end }", ERR_BAD_RESULT, "a method and a path");
    expect_refused("return { ['GET /:a'] = function() end, ['GET /:b'] = function() end }",
        ERR_BAD_RESULT, "there already");
    expect_refused("return +", ERR_SYNTAX, "");
    expect_refused("local nothing return nothing.x", ERR_RULE_ERROR, "nothing");
    expect_refused("return io", ERR_FORBIDDEN, "io");
    expect_refused("local t = {} for i = 1, 201 do t['GET /' .. i] = function() end end return t",
        ERR_BAD_RESULT, "at most 200");
}

/* Whichever budget is used up first on this machine. */
static void a_file_that_does_not_end_is_ended(void **state) {
    (void)state;
    int err = open_text("while true do end");
    assert_true(err == ERR_BUDGET_TIME || err == ERR_BUDGET_INSTRUCTIONS);
    assert_null(routes);
    close_all();
}

static void paths_of_the_platform_cannot_be_taken(void **state) {
    static const char *const TAKEN[] = {"/api", "/api/", "/api/x", "/API/x", "/admin", "/docs/a",
        "/healthz", "/readyz", "/metrics", "/openapi.json", "/webhooks/:name", "/Webhooks"};
    static const char *const FREE[] = {
        "/", "/apis", "/apiary/x", "/my/api", "/openapi", "/doc", "/:api"};
    (void)state;
    for (size_t i = 0; i < sizeof TAKEN / sizeof *TAKEN; i++) {
        char text[200];
        assert_true(path_reserved(span_of(TAKEN[i])));
        snprintf(text, sizeof text, "return { ['GET %s'] = function() end }", TAKEN[i]);
        if (strcmp(TAKEN[i], "/api/") != 0) /* no pattern at all */
            expect_refused(text, ERR_BAD_RESULT, "belongs to the platform");
    }
    for (size_t i = 0; i < sizeof FREE / sizeof *FREE; i++)
        assert_false(path_reserved(span_of(FREE[i])));
    assert_false(path_reserved(SPAN("")));
}

static int open_loop(void **state) {
    (void)state;
    loop = loop_new();
    return loop ? 0 : 1;
}

static int close_loop(void **state) {
    (void)state;
    loop_delete(loop);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declared_routes_are_found),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_file_that_does_not_end_is_ended),
        cmocka_unit_test(paths_of_the_platform_cannot_be_taken),
    };
    return cmocka_run_group_tests(tests, open_loop, close_loop);
}
