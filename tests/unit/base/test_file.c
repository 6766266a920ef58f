/* test_file.c: a file is read whole, or refused with its path. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/err.h"
#include "base/file.h"
#include "core/own_folder.h"

static char why[700];

static int read_name(const char *name, size_t max, buf_t *out) {
    char path[512];
    folder_path(path, folder, name);
    buf_create(out);
    buf_text(out, "before ");
    return file_read(path, max, out, why, sizeof why);
}

static void a_file_is_appended(void **state) {
    (void)state;
    buf_t text;
    folder_write(folder, "x", "seven b");
    assert_int_equal(read_name("x", 7, &text), 0);
    assert_true(span_eq(buf_view(&text), SPAN("before seven b")));
    buf_destroy(&text);
    folder_write(folder, "x", "");
    assert_int_equal(read_name("x", 0, &text), 0);
    assert_true(span_eq(buf_view(&text), SPAN("before ")));
    buf_destroy(&text);
}

static void a_large_file_is_read_whole(void **state) {
    (void)state;
    char *large = malloc(300001);
    memset(large, 'x', 300000);
    large[300000] = '\0';
    folder_write(folder, "x", large);
    buf_t text;
    assert_int_equal(read_name("x", 300000, &text), 0);
    assert_int_equal(text.len, 300007);
    buf_destroy(&text);
    assert_int_equal(read_name("x", 299999, &text), ERR_TOO_LARGE);
    assert_non_null(strstr(why, "/x: is larger than 299999 bytes"));
    buf_destroy(&text);
    free(large);
}

static void what_is_no_file_is_refused(void **state) {
    (void)state;
    buf_t text;
    char path[512];
    assert_int_equal(read_name("nothing", 10, &text), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "/nothing: "));
    buf_destroy(&text);
    folder_mkdir(folder, "folder");
    assert_int_equal(read_name("folder", 10, &text), ERR_INVALID);
    assert_non_null(strstr(why, "is not a plain file"));
    buf_destroy(&text);
    /* Nobody writes to it: a plain open would wait for ever. */
    folder_path(path, folder, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(read_name("fifo", 10, &text), ERR_INVALID);
    buf_destroy(&text);
}

static void a_pipe_is_read_to_its_end(void **state) {
    (void)state;
    int ends[2];
    buf_t text;
    buf_create(&text);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "abc", 3), 3);
    close(ends[1]);
    assert_int_equal(file_read_from(ends[0], "-", 3, &text, why, sizeof why), 0);
    assert_true(span_eq(buf_view(&text), SPAN("abc")));
    close(ends[0]);
    assert_true(file_read_from(ends[0], "-", 3, &text, why, sizeof why) < 0);
    assert_non_null(strstr(why, "-: "));
    buf_destroy(&text);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, own_folder_create, own_folder_destroy)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_file_is_appended),
        CASE(a_large_file_is_read_whole),
        CASE(what_is_no_file_is_refused),
        CASE(a_pipe_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
