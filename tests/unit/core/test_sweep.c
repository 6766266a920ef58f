/* test_sweep.c: a sweep finds what has changed since the one before. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/sources_rig.h"
#include "sweep.h"

static sweep_t *sweep;

static const seen_t *look(void) {
    seen_clear(&seen);
    sweep_run(sweep);
    return &seen;
}

static int set_up(void **state) {
    (void)state;
    sources_create();
    folder_write(folder, "scripts/api/a.lua", "return 1");
    sweep = sweep_new(scripts, tenants, seen_note, &seen);
    assert_non_null(sweep);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    sweep_delete(sweep);
    folder_destroy(folder);
    return 0;
}

static void first_look_only_remembers(void **state) {
    (void)state;
    assert_true(seen_nothing(&seen));
    assert_true(seen_nothing(look()));
}

static void change_names_its_source_once(void **state) {
    (void)state;
    folder_write(folder, "scripts/api/a.lua", "return 12");
    assert_true(seen_has(look(), "scripts"));
    assert_false(seen_has(&seen, "tenants/acme"));
    assert_true(seen_nothing(look()));
}

static void new_and_removed_files_are_found(void **state) {
    (void)state;
    folder_write(folder, "tenants/acme/tax.lua", "return 1");
    assert_true(seen_has(look(), "tenants/acme"));
    folder_unlink_file(folder, "tenants/acme/tax.lua");
    assert_true(seen_has(look(), "tenants/acme"));
}

static void tenants_come_and_go(void **state) {
    (void)state;
    folder_mkdir(folder, "tenants/tokyo");
    assert_true(seen_has(look(), "tenants/tokyo"));
    folder_rename(folder, "tenants/tokyo", "gone");
    assert_true(seen_has(look(), "tenants/tokyo"));
    assert_true(seen_nothing(look()));
}

static void change_behind_a_link_is_found(void **state) {
    (void)state;
    char target[512], path[512];
    folder_mkdir(folder, "elsewhere");
    folder_path(target, folder, "elsewhere");
    folder_path(path, folder, "tenants/linked");
    assert_int_equal(symlink(target, path), 0);
    assert_true(seen_has(look(), "tenants/linked"));
    folder_write(folder, "elsewhere/tax.lua", "return 1");
    assert_true(seen_has(look(), "tenants/linked"));
}

static void editors_leavings_are_ignored(void **state) {
    (void)state;
    folder_write(folder, "tenants/acme/.tax.lua.swp", "x");
    folder_write(folder, "tenants/acme/tax.lua~", "x");
    assert_true(seen_nothing(look()));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(first_look_only_remembers),
        CASE(change_names_its_source_once),
        CASE(new_and_removed_files_are_found),
        CASE(tenants_come_and_go),
        CASE(change_behind_a_link_is_found),
        CASE(editors_leavings_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
