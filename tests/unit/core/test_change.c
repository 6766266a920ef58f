/* test_change.c: a swap of rules has one name, whoever asks, and another one when it happens again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include "change.h"
#include "core/folder.h"
#include "base/ident.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* Until the file system's clock has moved on. */
static void write_later(const char *folder, const char *name) {
    char path[512];
    struct stat before, after;
    folder_path(path, folder, name);
    assert_int_equal(stat(path, &before), 0);
    do {
        folder_write(folder, name, "return 1");
        assert_int_equal(stat(path, &after), 0);
    } while (before.st_ctim.tv_sec == after.st_ctim.tv_sec &&
             before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);
}

static void one_swap_has_one_id(void **state) {
    (void)state;
    char folder[256];
    change_t first, again, other;
    folder_create(folder);
    folder_mkdir(folder, "acme");
    folder_mkdir(folder, "_default");
    folder_write(folder, "acme/pricing.lua", "return 0");
    folder_write(folder, "_default/tax.lua", "return 0");
    change_make(&first, folder, "acme", A, B);
    change_make(&again, folder, "acme", A, B);
    assert_true(ident_is_uuid(span_of(first.id)));
    assert_string_equal(first.id, again.id);
    assert_string_equal(first.before, A);
    assert_string_equal(first.after, B);
    change_make(&other, folder, "acme", B, A);
    assert_string_not_equal(first.id, other.id);
    change_make(&other, folder, "tokyo", A, B);
    assert_string_not_equal(first.id, other.id);
    change_make(&other, folder, "acme", "", B);
    assert_string_not_equal(first.id, other.id);
    write_later(folder, "acme/pricing.lua");
    change_make(&again, folder, "acme", A, B);
    assert_string_not_equal(first.id, again.id);
    write_later(folder, "_default/tax.lua");
    change_make(&other, folder, "acme", A, B);
    assert_string_not_equal(again.id, other.id);
    folder_destroy(folder);
}

static void the_same_edition_is_no_swap(void **state) {
    (void)state;
    change_t change;
    change_make(&change, "/nowhere", "acme", A, A);
    assert_string_equal(change.id, "");
    change_make(&change, "/nowhere", "acme", A, B);
    assert_true(ident_is_uuid(span_of(change.id)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_swap_has_one_id),
        cmocka_unit_test(the_same_edition_is_no_swap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
