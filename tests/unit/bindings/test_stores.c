/* test_stores.c: the embedded engines pass the contract tests, alone and as two workers on one folder side by side. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "bindings/script_host.h"

static char *contract(char *name, size_t size) {
    char path[1024];
    size_t len;
    host_path(path, sizeof path, "tests/contract/run.lua");
    snprintf(name, size, "@%s", path);
    return host_read(path, &len);
}

static void engines_keep_the_contract(void **state) {
    char folder[200], name[1100];
    char *text = contract(name, sizeof name);
    host_t host;
    (void)state;
    host_folder(folder, sizeof folder);
    loop_t *loop = loop_new();
    host_open(&host, loop, &(sqlite_options_t){.data_dir = folder});
    host_start(&host, text, name);
    host_wait(&host);
    assert_string_equal(host.error, "");
    assert_true(host.code == 0);
    host_close(&host);
    loop_delete(loop);
    host_folder_remove(folder);
    free(text);
}

/* Both create the files at the same time, and then write to them in turn. */
static void two_workers_share_a_folder(void **state) {
    char folder[200], name[1100];
    char *text = contract(name, sizeof name);
    host_t one, two;
    (void)state;
    host_folder(folder, sizeof folder);
    loop_t *loop = loop_new();
    host_open(&one, loop, &(sqlite_options_t){.data_dir = folder});
    host_open(&two, loop, &(sqlite_options_t){.data_dir = folder});
    host_start(&one, text, name);
    host_start(&two, text, name);
    host_wait(&one);
    host_wait(&two);
    assert_string_equal(one.error, "");
    assert_string_equal(two.error, "");
    assert_true(one.code == 0);
    assert_true(two.code == 0);
    host_close(&one);
    host_close(&two);
    loop_delete(loop);
    host_folder_remove(folder);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engines_keep_the_contract), cmocka_unit_test(two_workers_share_a_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
