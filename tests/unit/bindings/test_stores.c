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

/* A file whose index was made before words within a run could be found. */
static void an_older_index_is_made_anew(void **state) {
    static const char SCRIPT[] =
        "local tables, engine = require 'stores.search.tables', require 'stores.search.sqlite'\n"
        "local second = table.remove(tables.steps)\n"
        "local older = engine.open('older')\n"
        "assert(older.put('t', {id = 'a', status = 'active', name = '登山 用具'}))\n"
        "assert(older.query('t', {q = '山'}).total == 0)\n"
        "tables.steps[2] = second\n"
        "local newer = engine.open('older')\n"
        "assert(newer.query('t', {q = '山'}).total == 1)\n"
        "assert(newer.suggest('t', '用', 5)[1])\n"
        "assert(newer.remove('t', 'a') and newer.query('t', {q = '山'}).total == 0)\n"
        "return 7";
    char folder[200];
    host_t host;
    (void)state;
    host_folder(folder, sizeof folder);
    loop_t *loop = loop_new();
    host_open(&host, loop, &(sqlite_options_t){.data_dir = folder});
    assert_true(host_run(&host, SCRIPT) == 7);
    host_close(&host);
    loop_delete(loop);
    host_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(engines_keep_the_contract),
        cmocka_unit_test(two_workers_share_a_folder),
        cmocka_unit_test(an_older_index_is_made_anew)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
