/* test_shelf.c: editions that passed are known again after a restart, and their files are whole. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/err.h"
#include "core/folder.h"
#include "shelf.h"

static char folder[256];
static shelf_t shelf;

static shelf_mark_t mark_of(char letter) {
    shelf_mark_t mark;
    memset(mark.key, letter, 64);
    memset(mark.hash, letter + 1, 64);
    mark.key[64] = mark.hash[64] = '\0';
    return mark;
}

static int set_up(void **state) {
    (void)state;
    folder_create(folder);
    folder_mkdir(folder, "editions");
    return shelf_create(&shelf, folder);
}

static int tear_down(void **state) {
    (void)state;
    shelf_destroy(&shelf);
    folder_destroy(folder);
    return 0;
}

static void reopen(void) {
    shelf_destroy(&shelf);
    assert_int_equal(shelf_create(&shelf, folder), 0);
}

static void last_passed_edition_survives_a_restart(void **state) {
    (void)state;
    shelf_mark_t first = mark_of('a'), second = mark_of('c');
    assert_null(shelf_get(&shelf, "tenants/acme"));
    assert_int_equal(shelf_pass(&shelf, "tenants/acme", &first), 0);
    assert_int_equal(shelf_pass(&shelf, "tenants/acme", &second), 0);
    assert_int_equal(shelf_pass(&shelf, "scripts", &first), 0);
    reopen();
    assert_string_equal(shelf_get(&shelf, "tenants/acme")->key, second.key);
    assert_string_equal(shelf_get(&shelf, "tenants/acme")->hash, second.hash);
    assert_string_equal(shelf_get(&shelf, "scripts")->key, first.key);
    reopen();
    assert_string_equal(shelf_get(&shelf, "scripts")->key, first.key);
}

static void list_of_another_build_is_forgotten(void **state) {
    (void)state;
    shelf_mark_t mark = mark_of('a');
    assert_int_equal(shelf_pass(&shelf, "scripts", &mark), 0);
    char line[300];
    snprintf(line, sizeof(line), "perigee 1 2 3\n%s %s scripts\n", mark.key, mark.hash);
    folder_write(folder, "checked", line);
    reopen();
    assert_null(shelf_get(&shelf, "scripts"));
}

static void half_a_line_does_no_harm(void **state) {
    (void)state;
    shelf_mark_t mark = mark_of('a');
    char path[512];
    assert_int_equal(shelf_pass(&shelf, "scripts", &mark), 0);
    folder_path(path, folder, "checked");
    FILE *file = fopen(path, "a");
    fputs("aaaa", file);
    fclose(file);
    reopen();
    assert_string_equal(shelf_get(&shelf, "scripts")->key, mark.key);
}

static void stored_file_is_whole_and_kept(void **state) {
    (void)state;
    shelf_mark_t mark = mark_of('a');
    char path[SHELF_PATH_MAX], text[32] = "";
    assert_int_equal(shelf_store(&shelf, "tenants/acme", mark.key, SPAN("edition")), 0);
    assert_int_equal(shelf_store(&shelf, "tenants/acme", mark.key, SPAN("another")), 0);
    shelf_path(&shelf, "tenants/acme", mark.key, path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof(text), file), 7);
    fclose(file);
    assert_string_equal(text, "edition");
}

static void pruning_keeps_what_passed_last(void **state) {
    (void)state;
    shelf_mark_t old = mark_of('a'), new = mark_of('c');
    char path[SHELF_PATH_MAX];
    shelf_store(&shelf, "scripts", old.key, SPAN("old"));
    shelf_store(&shelf, "scripts", new.key, SPAN("new"));
    shelf_pass(&shelf, "scripts", &old);
    shelf_pass(&shelf, "scripts", &new);
    shelf_prune(&shelf);
    shelf_path(&shelf, "scripts", old.key, path);
    assert_int_not_equal(access(path, F_OK), 0);
    shelf_path(&shelf, "scripts", new.key, path);
    assert_int_equal(access(path, F_OK), 0);
}

static void folder_that_cannot_be_written_is_an_error(void **state) {
    (void)state;
    shelf_t other;
    assert_int_equal(shelf_create(&other, "/nowhere"), ERR_UNAVAILABLE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(last_passed_edition_survives_a_restart),
        CASE(list_of_another_build_is_forgotten),
        CASE(half_a_line_does_no_harm),
        CASE(stored_file_is_whole_and_kept),
        CASE(pruning_keeps_what_passed_last),
        CASE(folder_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
