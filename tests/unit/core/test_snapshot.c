/* test_snapshot.c: what a snapshot of the scripts holds, and what it refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/err.h"
#include "core/own_folder.h"
#include "snapshot.h"

static char why[700];

static int set_up(void **state) {
    (void)state;
    folder_create(folder);
    folder_mkdir(folder, "api");
    folder_write(folder, "main.lua", "return {}");
    folder_write(folder, "api/products.lua", "return 1");
    return 0;
}

static void take_hash(char out[65]) {
    snapshot_t snapshot;
    assert_int_equal(snapshot_take(&snapshot, folder, why, sizeof(why)), 0);
    memcpy(out, snapshot.hash, 65);
    snapshot_destroy(&snapshot);
}

static void holds_lua_files_by_name(void **state) {
    (void)state;
    folder_write(folder, "README.md", "x");
    folder_write(folder, ".hidden.lua", "x");
    folder_mkdir(folder, ".git");
    folder_write(folder, ".git/x.lua", "x");
    snapshot_t snapshot;
    assert_int_equal(snapshot_take(&snapshot, folder, why, sizeof(why)), 0);
    assert_int_equal(snapshot.count, 2);
    assert_true(span_eq(snapshot.files[0].name, SPAN("api/products.lua")));
    assert_true(span_eq(snapshot.files[1].text, SPAN("return {}")));
    snapshot_destroy(&snapshot);
}

static void writes_the_edition_of_the_contract(void **state) {
    (void)state;
    snapshot_t snapshot;
    char expected[400];
    buf_t out;
    buf_create(&out);
    assert_int_equal(snapshot_take(&snapshot, folder, why, sizeof(why)), 0);
    snapshot_write(&snapshot, &out);
    snprintf(expected, sizeof(expected),
        "{\"hash\":\"%s\",\"files\":{\"api/products.lua\":\"return 1\",\"main.lua\":\"return "
        "{}\"}}",
        snapshot.hash);
    assert_true(span_eq(buf_view(&out), span_of(expected)));
    buf_destroy(&out);
    snapshot_destroy(&snapshot);
}

static void hash_follows_names_and_texts(void **state) {
    (void)state;
    char first[65], other[65], again[65];
    take_hash(first);
    folder_write(folder, "api/products.lua", "return 2");
    take_hash(other);
    assert_string_not_equal(first, other);
    folder_write(folder, "api/products.lua", "return 1");
    take_hash(again);
    assert_string_equal(first, again);
    folder_rename(folder, "api/products.lua", "api/product.lua");
    take_hash(other);
    assert_string_not_equal(first, other);
}

static void files_behind_links_are_taken(void **state) {
    (void)state;
    char target[512], path[512];
    folder_path(target, folder, "api");
    folder_path(path, folder, "again");
    assert_int_equal(symlink(target, path), 0);
    snapshot_t snapshot;
    assert_int_equal(snapshot_take(&snapshot, folder, why, sizeof(why)), 0);
    assert_int_equal(snapshot.count, 3);
    snapshot_destroy(&snapshot);
}

static void folder_without_main_is_refused(void **state) {
    (void)state;
    snapshot_t snapshot;
    folder_unlink_file(folder, "main.lua");
    assert_int_equal(snapshot_take(&snapshot, folder, why, sizeof(why)), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "there is no main.lua"));
    assert_int_equal(snapshot_take(&snapshot, "/nowhere", why, sizeof(why)), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "/nowhere"));
}

static void text_that_is_not_utf8_is_refused(void **state) {
    (void)state;
    snapshot_t snapshot;
    folder_write(folder, "api/latin.lua", "return '\xe9'");
    assert_int_equal(snapshot_take(&snapshot, folder, why, sizeof(why)), ERR_INVALID);
    assert_non_null(strstr(why, "api/latin.lua"));
}

static void folders_that_loop_are_refused(void **state) {
    (void)state;
    char path[512];
    snapshot_t snapshot;
    folder_path(path, folder, "api/loop");
    assert_int_equal(symlink(folder, path), 0);
    assert_int_equal(snapshot_take(&snapshot, folder, why, sizeof(why)), ERR_TOO_LARGE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, own_folder_destroy)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(holds_lua_files_by_name),
        CASE(writes_the_edition_of_the_contract),
        CASE(hash_follows_names_and_texts),
        CASE(files_behind_links_are_taken),
        CASE(folder_without_main_is_refused),
        CASE(text_that_is_not_utf8_is_refused),
        CASE(folders_that_loop_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
