/* test_sites.c: when a tenant's routes are opened, replaced, and closed. */
#include "core/whole.h"
#include "sites.h"

static whole_t whole;
static sites_t *sites;

static int set_up(void **state) {
    (void)state;
    whole_create(&whole);
    whole.config.tenant_vms_max = 3;
    whole_start(&whole, NULL);
    sites = sites_new(&whole.services);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    sites_delete(sites);
    whole_stop(&whole);
    return 0;
}

/* A mark that only this very site has. */
static void mark(site_t *site) {
    site_killed(site);
}

static bool is_marked(const site_t *site) {
    return site->kills_ms[0] != 0;
}

static site_t *find(const char *slug) {
    return sites_find(sites, span_of(slug));
}

static void a_site_is_opened_once(void **state) {
    (void)state;
    assert_null(find("acme"));
    whole_routes(&whole, "acme", "return { ['GET /x'] = function() end }");
    mark(find("acme"));
    assert_true(is_marked(find("acme")));
    assert_int_equal(routes_count(find("acme")->routes), 1);
}

static void a_new_edition_has_a_new_site(void **state) {
    (void)state;
    whole_routes(&whole, "acme", "return { ['GET /x'] = function() end }");
    site_t *old = find("acme");
    mark(old);
    site_enter(old);
    whole_routes(&whole, "acme", "return { ['GET /y'] = function() end }");
    assert_false(is_marked(find("acme")));
    loop_turn(whole.rig.loop, 0);
    /* A request is inside the old one, which therefore is still there. */
    assert_int_equal(routes_count(old->routes), 1);
    assert_true(old->retired);
    site_leave(old);
    loop_turn(whole.rig.loop, 0);
}

static void those_longest_unused_make_room(void **state) {
    static const char *const SLUGS[] = {"one", "two", "three", "four"};
    (void)state;
    for (int i = 0; i < 4; i++)
        whole_routes(&whole, SLUGS[i], "return {}");
    for (int i = 0; i < 3; i++)
        mark(find(SLUGS[i]));
    assert_true(is_marked(find("one")));
    find("four");
    loop_turn(whole.rig.loop, 0);
    assert_true(is_marked(find("one")));
    assert_true(is_marked(find("three")));
    assert_false(is_marked(find("two")));
}

static void requests_inside_keep_a_site_open(void **state) {
    static const char *const SLUGS[] = {"one", "two", "three", "four"};
    site_t *inside[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        whole_routes(&whole, SLUGS[i], "return {}");
        inside[i] = find(SLUGS[i]);
        mark(inside[i]);
        site_enter(inside[i]);
    }
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(find(SLUGS[i]), inside[i]);
        assert_true(is_marked(inside[i]));
    }
    for (int i = 0; i < 4; i++)
        site_leave(inside[i]);
}

static void a_blank_file_costs_no_vm(void **state) {
    (void)state;
    whole_routes(&whole, "acme", "-- no routes yet\n\n");
    assert_null(find("acme")->routes);
    assert_int_equal(find("acme")->fault.err, 0);
}

static void a_file_that_does_not_open_says_why(void **state) {
    (void)state;
    whole_routes(&whole, "acme", "return 7");
    site_t *site = find("acme");
    assert_null(site->routes);
    assert_int_equal(site->fault.err, ERR_BAD_RESULT);
    assert_non_null(strstr(site->fault.text, "number"));
    whole_routes(&whole, "acme", "return {\n\n['GET /x'] = }");
    assert_int_equal(find("acme")->fault.err, ERR_SYNTAX);
    assert_int_equal(find("acme")->fault.line, 3);
}

static void three_kills_within_a_minute_are_a_rest(void **state) {
    (void)state;
    whole_routes(&whole, "acme", "return {}");
    site_t *site = find("acme");
    for (int i = 0; i < 3; i++) {
        assert_false(site_rests(site));
        site_killed(site);
    }
    assert_true(site_rests(site));
    site->kills_ms[2] = 0; /* as if the first had been long ago */
    assert_false(site_rests(site));
}

static void a_site_logs_at_most_twenty_lines_a_second(void **state) {
    (void)state;
    int lines = 0;
    whole_routes(&whole, "acme", "return {}");
    site_t *site = find("acme");
    for (int i = 0; i < 1000; i++)
        lines += site_may_log(site);
    assert_int_equal(lines, 20);
    site->log_from_ms -= 1000;
    assert_true(site_may_log(site));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_site_is_opened_once),
        CASE(a_new_edition_has_a_new_site),
        CASE(those_longest_unused_make_room),
        CASE(requests_inside_keep_a_site_open),
        CASE(a_blank_file_costs_no_vm),
        CASE(a_file_that_does_not_open_says_why),
        CASE(three_kills_within_a_minute_are_a_rest),
        CASE(a_site_logs_at_most_twenty_lines_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
