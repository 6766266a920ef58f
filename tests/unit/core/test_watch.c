/* test_watch.c: which edits are noticed, and under which source's name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/sources_rig.h"
#include "watch.h"

static watch_t *watch;

/* inotify queues an event before the call that causes it returns, so what has been done has also been seen. */
static const seen_t *look(void) {
    watch_read(watch);
    return &seen;
}

static int set_up(void **state) {
    (void)state;
    sources_create();
    watch = watch_new(scripts, tenants, seen_note, &seen);
    assert_non_null(watch);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    watch_delete(watch);
    folder_destroy(folder);
    return 0;
}

static void plain_folders_are_seen_whole(void **state) {
    (void)state;
    assert_false(watch_blind(watch));
    assert_true(watch_fd(watch) >= 0);
    assert_true(seen_nothing(look()));
}

static void saved_file_names_its_source(void **state) {
    (void)state;
    folder_write(folder, "tenants/acme/pricing.lua", "return 1");
    assert_true(seen_has(look(), "tenants/acme"));
    assert_false(seen_has(&seen, "scripts"));
    seen_clear(&seen);
    folder_write(folder, "scripts/api/products.lua", "return 1");
    assert_true(seen_has(look(), "scripts"));
    assert_false(seen_has(&seen, "tenants/acme"));
}

static void file_moved_into_place_is_seen(void **state) {
    (void)state;
    folder_write(folder, "beside.lua", "return 1");
    folder_rename(folder, "beside.lua", "tenants/acme/tax.lua");
    assert_true(seen_has(look(), "tenants/acme"));
}

static void removed_file_is_seen(void **state) {
    (void)state;
    folder_write(folder, "tenants/acme/tax.lua", "return 1");
    look();
    seen_clear(&seen);
    folder_unlink_file(folder, "tenants/acme/tax.lua");
    assert_true(seen_has(look(), "tenants/acme"));
}

static void file_that_is_still_open_is_not_announced(void **state) {
    (void)state;
    char path[512];
    folder_path(path, folder, "tenants/acme/tax.lua");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(seen_nothing(look()));
    fclose(file);
    assert_true(seen_has(look(), "tenants/acme"));
}

static void hard_link_is_seen(void **state) {
    (void)state;
    char from[512], to[512];
    folder_write(folder, "beside.lua", "return 1");
    folder_path(from, folder, "beside.lua");
    folder_path(to, folder, "tenants/acme/tax.lua");
    assert_int_equal(link(from, to), 0);
    assert_true(seen_has(look(), "tenants/acme"));
}

static void editors_leavings_are_ignored(void **state) {
    (void)state;
    static const char *const NAMES[] = {
        ".pricing.lua.swp", "pricing.lua~", "#pricing.lua#", "a.bak", "b.tmp", "c.orig"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        char name[64];
        snprintf(name, sizeof(name), "tenants/acme/%s", NAMES[i]);
        folder_write(folder, name, "x");
    }
    assert_true(seen_nothing(look()));
}

static void new_folder_is_watched_at_once(void **state) {
    (void)state;
    folder_mkdir(folder, "tenants/tokyo");
    assert_true(seen_has(look(), "tenants/tokyo"));
    seen_clear(&seen);
    folder_write(folder, "tenants/tokyo/tax.lua", "return 1");
    assert_true(seen_has(look(), "tenants/tokyo"));
}

static void folder_moved_in_is_watched_with_what_is_below(void **state) {
    (void)state;
    folder_mkdir(folder, "new");
    folder_mkdir(folder, "new/samples");
    folder_rename(folder, "new", "tenants/tokyo");
    assert_true(seen_has(look(), "tenants/tokyo"));
    seen_clear(&seen);
    folder_write(folder, "tenants/tokyo/samples/one.json", "{}");
    assert_true(seen_has(look(), "tenants/tokyo"));
}

static void folder_moved_out_no_longer_counts(void **state) {
    (void)state;
    folder_rename(folder, "tenants/acme", "gone");
    assert_true(seen_has(look(), "tenants/acme"));
    seen_clear(&seen);
    folder_write(folder, "gone/tax.lua", "return 1");
    assert_true(seen_nothing(look()));
}

static void renamed_tenant_reports_under_its_new_name(void **state) {
    (void)state;
    folder_rename(folder, "tenants/acme", "tenants/apex");
    look();
    assert_true(seen_has(&seen, "tenants/acme") && seen_has(&seen, "tenants/apex"));
    seen_clear(&seen);
    folder_write(folder, "tenants/apex/tax.lua", "return 1");
    assert_true(seen_has(look(), "tenants/apex"));
    assert_false(seen_has(&seen, "tenants/acme"));
}

static void what_is_no_tenant_is_ignored(void **state) {
    (void)state;
    folder_write(folder, "tenants/README.md", "x");
    folder_mkdir(folder, "tenants/.git");
    folder_mkdir(folder, "tenants/Upper");
    assert_true(seen_nothing(look()));
}

static void replaced_root_starts_over(void **state) {
    (void)state;
    folder_rename(folder, "tenants", "old");
    folder_mkdir(folder, "tenants");
    folder_mkdir(folder, "tenants/acme");
    assert_true(seen_has(look(), "*"));
    seen_clear(&seen);
    folder_write(folder, "tenants/acme/tax.lua", "return 1");
    assert_true(seen_has(look(), "tenants/acme"));
}

static void lost_events_mean_everything(void **state) {
    (void)state;
    unsigned long most = 0;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &most), 1);
    fclose(file);
    for (unsigned long i = 0; i <= most; i++) {
        folder_write(folder, i % 2 ? "scripts/a.lua" : "tenants/acme/a.lua", "");
    }
    assert_true(seen_has(look(), "*"));
    seen_clear(&seen);
    folder_write(folder, "scripts/api/b.lua", "return 1");
    assert_true(seen_has(look(), "scripts"));
}

static void links_make_it_blind(void **state) {
    (void)state;
    char target[512], path[512];
    folder_mkdir(folder, "elsewhere");
    folder_path(target, folder, "elsewhere");
    folder_path(path, folder, "tenants/linked");
    assert_int_equal(symlink(target, path), 0);
    look();
    assert_true(watch_blind(watch));
}

static void linked_root_is_blind_from_the_start(void **state) {
    (void)state;
    char path[512];
    seen_t other;
    seen_clear(&other);
    folder_path(path, folder, "current");
    assert_int_equal(symlink(tenants, path), 0);
    watch_t *linked = watch_new(scripts, path, seen_note, &other);
    assert_true(watch_blind(linked));
    watch_delete(linked);
}

static void missing_root_is_blind(void **state) {
    (void)state;
    char path[512];
    seen_t other;
    seen_clear(&other);
    folder_path(path, folder, "nowhere");
    watch_t *missing = watch_new(scripts, path, seen_note, &other);
    assert_true(watch_blind(missing));
    watch_delete(missing);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(plain_folders_are_seen_whole),
        CASE(saved_file_names_its_source),
        CASE(file_moved_into_place_is_seen),
        CASE(removed_file_is_seen),
        CASE(file_that_is_still_open_is_not_announced),
        CASE(hard_link_is_seen),
        CASE(editors_leavings_are_ignored),
        CASE(new_folder_is_watched_at_once),
        CASE(folder_moved_in_is_watched_with_what_is_below),
        CASE(folder_moved_out_no_longer_counts),
        CASE(renamed_tenant_reports_under_its_new_name),
        CASE(what_is_no_tenant_is_ignored),
        CASE(replaced_root_starts_over),
        CASE(lost_events_mean_everything),
        CASE(links_make_it_blind),
        CASE(linked_root_is_blind_from_the_start),
        CASE(missing_root_is_blind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
