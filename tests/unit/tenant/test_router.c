/* test_router.c: precedence, parameters, encoded text, 405 with Allow, and what a pattern may not be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/err.h"
#include "tenant/reserved.h"
#include "tenant/router.h"

static const char *const ROUTES[] = {"GET /", "GET /api/products", "POST /api/products",
    "GET /api/products/:id", "PUT /api/products/:id", "GET /api/products/search",
    "GET /api/products/by-sku/:sku", "GET /api/products/:id/images/:image", "DELETE /api/cart",
    "GET /size-guide/:brand", "GET /a/:x/c", "GET /a/b/d"};

typedef struct fixture {
    router_t *router;
    arena_t arena;
    route_match_t match;
} fixture_t;

static int open_router(void **state) {
    static fixture_t fixture;
    char why[200];
    fixture.router = router_new();
    arena_create(&fixture.arena);
    for (size_t i = 0; i < sizeof(ROUTES) / sizeof(*ROUTES); i++)
        if (router_add(fixture.router, span_of(ROUTES[i]), (int)i, why, sizeof why)) return -1;
    *state = &fixture;
    return 0;
}

static int close_router(void **state) {
    fixture_t *fixture = *state;
    router_delete(fixture->router);
    arena_destroy(&fixture->arena);
    return 0;
}

/* The spec that serves method and path, or NULL. */
static const char *served(fixture_t *fixture, const char *method, const char *path) {
    int err = router_match(
        fixture->router, span_of(method), span_of(path), &fixture->arena, &fixture->match);
    assert_int_equal(err, 0);
    return fixture->match.route ? ROUTES[fixture->match.route->index] : NULL;
}

static void fixed_segments_win(void **state) {
    assert_string_equal(served(*state, "GET", "/api/products/search"), "GET /api/products/search");
    assert_string_equal(served(*state, "GET", "/api/products/searching"), "GET /api/products/:id");
    assert_string_equal(served(*state, "GET", "/"), "GET /");
    assert_string_equal(served(*state, "GET", "/a/b/d"), "GET /a/b/d");
}

/* /a/b is fixed but leads nowhere: the parameter gets its turn. */
static void a_dead_end_goes_back(void **state) {
    assert_string_equal(served(*state, "GET", "/a/b/c"), "GET /a/:x/c");
}

/* The template has PUT; the fixed path, which is something else, does not. */
static void a_fixed_path_is_no_parameter_for_other_methods(void **state) {
    fixture_t *fixture = *state;
    assert_null(served(fixture, "PUT", "/api/products/search"));
    assert_true(fixture->match.path_known);
}

static void parameters_are_named_and_decoded(void **state) {
    fixture_t *fixture = *state;
    served(fixture, "GET", "/api/products/p%201/images/%e3%83%9e");
    assert_int_equal(fixture->match.nparams, 2);
    assert_true(span_eq(fixture->match.names[0], SPAN("id")));
    assert_true(span_eq(fixture->match.values[0], SPAN("p 1")));
    assert_true(span_eq(fixture->match.names[1], SPAN("image")));
    assert_true(span_eq(fixture->match.values[1], SPAN("\xe3\x83\x9e")));
}

static void an_encoded_slash_stays_in_its_segment(void **state) {
    fixture_t *fixture = *state;
    assert_string_equal(served(fixture, "GET", "/api/products/a%2Fb"), "GET /api/products/:id");
    assert_true(span_eq(fixture->match.values[0], SPAN("a/b")));
    assert_null(served(fixture, "GET", "/api%2Fproducts"));
}

static void dots_are_no_values(void **state) {
    const char *paths[] = {"/size-guide/..", "/size-guide/%2e%2e", "/size-guide/.",
        "/size-guide/%2E", "/size-guide/", "/size-guide//", "/../api/products", "/api/./products"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        assert_null(served(*state, "GET", paths[i]));
    assert_non_null(served(*state, "GET", "/size-guide/..."));
}

static void slashes_count(void **state) {
    assert_null(served(*state, "GET", "/api/products/"));
    assert_null(served(*state, "GET", "//api/products"));
    assert_null(served(*state, "GET", "/api//products"));
    assert_null(served(*state, "GET", "//"));
}

static void head_follows_from_get(void **state) {
    assert_string_equal(served(*state, "HEAD", "/api/products"), "GET /api/products");
    assert_null(served(*state, "HEAD", "/api/cart"));
}

static void another_method_is_405_with_allow(void **state) {
    fixture_t *fixture = *state;
    assert_null(served(fixture, "PATCH", "/api/products"));
    assert_true(fixture->match.path_known);
    assert_string_equal(fixture->match.allow, "GET, HEAD, POST, OPTIONS");
    assert_null(served(fixture, "OPTIONS", "/api/cart"));
    assert_string_equal(fixture->match.allow, "DELETE, OPTIONS");
    assert_null(served(fixture, "DELETE", "/api/products/search"));
    assert_string_equal(fixture->match.allow, "GET, HEAD, OPTIONS");
}

static void an_unknown_path_allows_nothing(void **state) {
    fixture_t *fixture = *state;
    assert_null(served(fixture, "GET", "/nothing"));
    assert_false(fixture->match.path_known);
    assert_string_equal(fixture->match.allow, "");
}

static void bad_text_is_invalid(void **state) {
    fixture_t *fixture = *state;
    const char *paths[] = {"/api/%", "/api/%2", "/api/%zz", "/api/%00", "/api/%ff", "/api/%c0%af",
        "/api/\xff", "api", ""};
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        assert_int_equal(router_match(fixture->router, SPAN("GET"), span_of(paths[i]),
                             &fixture->arena, &fixture->match),
            ERR_INVALID);
}

static void a_deep_path_is_not_found(void **state) {
    char path[2001];
    for (int i = 0; i < 1000; i++)
        memcpy(path + 2 * i, "/a", 2);
    path[2000] = 0;
    assert_null(served(*state, "GET", path));
}

static void bad_patterns_are_named(void **state) {
    fixture_t *fixture = *state;
    const struct {
        const char *spec;
        int err;
    } cases[] = {{"FETCH /x", ERR_INVALID}, {"GET", ERR_INVALID}, {"GET x", ERR_INVALID},
        {"get /x", ERR_INVALID}, {"GET /x/", ERR_INVALID}, {"GET //x", ERR_INVALID},
        {"GET /x/..", ERR_INVALID}, {"GET /:", ERR_INVALID},
        {"GET /:a/:b/:c/:d/:e/:f/:g/:h/:i", ERR_INVALID}, {"GET /\xff", ERR_INVALID},
        {"GET /api/products", ERR_CONFLICT}, {"GET /api/products/:other", ERR_CONFLICT}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char why[200] = "";
        assert_int_equal(
            router_add(fixture->router, span_of(cases[i].spec), 0, why, sizeof why), cases[i].err);
        assert_non_null(strstr(why, cases[i].spec));
    }
}

static void reserved_paths_belong_to_the_server(void **state) {
    (void)state;
    const char *taken[] = {"/api", "/api/x", "/admin", "/docs/a", "/healthz", "/readyz", "/metrics",
        "/openapi.json", "/webhooks/x"};
    const char *open[] = {"/", "/apis", "/size-guide", "/healthzz", "/shop/api"};
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
        assert_true(path_reserved(span_of(taken[i])));
    for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
        assert_false(path_reserved(span_of(open[i])));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fixed_segments_win, open_router, close_router),
        cmocka_unit_test_setup_teardown(a_dead_end_goes_back, open_router, close_router),
        cmocka_unit_test_setup_teardown(
            a_fixed_path_is_no_parameter_for_other_methods, open_router, close_router),
        cmocka_unit_test_setup_teardown(
            parameters_are_named_and_decoded, open_router, close_router),
        cmocka_unit_test_setup_teardown(
            an_encoded_slash_stays_in_its_segment, open_router, close_router),
        cmocka_unit_test_setup_teardown(dots_are_no_values, open_router, close_router),
        cmocka_unit_test_setup_teardown(slashes_count, open_router, close_router),
        cmocka_unit_test_setup_teardown(head_follows_from_get, open_router, close_router),
        cmocka_unit_test_setup_teardown(
            another_method_is_405_with_allow, open_router, close_router),
        cmocka_unit_test_setup_teardown(an_unknown_path_allows_nothing, open_router, close_router),
        cmocka_unit_test_setup_teardown(bad_text_is_invalid, open_router, close_router),
        cmocka_unit_test_setup_teardown(a_deep_path_is_not_found, open_router, close_router),
        cmocka_unit_test_setup_teardown(bad_patterns_are_named, open_router, close_router),
        cmocka_unit_test(reserved_paths_belong_to_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
