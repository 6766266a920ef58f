/* test_job.c: a script of the command line runs with modules and tenants, and its end is the exit code. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/folder.h"
#include "job.h"

static char folder[256];
static config_t config;

static int set_up(void **state) {
    (void)state;
    folder_create(folder);
    folder_mkdir(folder, "scripts");
    folder_write(folder, "scripts/main.lua", "error 'a job does not run main.lua'");
    folder_write(folder, "scripts/seven.lua", "return 7");
    folder_mkdir(folder, "tenants");
    folder_mkdir(folder, "tenants/acme");
    folder_write(folder, "tenants/acme/pricing.lua", "return function() end");
    folder_write(folder, "tenants/acme/tenant.json", "{\"slug\":\"acme\"}");
    folder_write(folder, "tenants/README.md", "no tenant");
    config_default(&config);
    folder_path(config.data, folder, "data");
    folder_path(config.scripts, folder, "scripts");
    folder_path(config.tenants, folder, "tenants");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    folder_destroy(folder);
    return 0;
}

static int run(const char *text) {
    char path[512], *arguments[] = {"one", "two"};
    folder_path(path, folder, "job.lua");
    folder_write(folder, "job.lua", text);
    return job_run(&config, path, 2, arguments);
}

static void what_it_returns_is_the_exit_code(void **state) {
    (void)state;
    assert_int_equal(run(""), 0);
    assert_int_equal(run("return 3"), 3);
    assert_int_equal(run("return require 'seven'"), 7);
    assert_int_equal(run("sleep(1) return 4"), 4);
    assert_int_equal(run("wait_all { function() sleep(1) end } return 5"), 5);
    assert_int_equal(run("return #arg + (arg[1] == 'one' and arg[2] == 'two' and 10 or 0)"), 12);
    assert_int_equal(run("return 'text'"), 0);
}

static void what_it_raises_is_a_failure(void **state) {
    (void)state;
    assert_int_equal(run("error 'on purpose'"), 1);
    assert_int_equal(run("sleep(1) error 'on purpose'"), 1);
    assert_int_equal(run("this is not Lua"), 1);
    assert_int_equal(job_run(&config, "/nowhere/job.lua", 0, NULL), 1);
    strcpy(config.scripts, "/nowhere");
    assert_int_equal(run("return 0"), 1);
}

static void it_reaches_the_stores(void **state) {
    (void)state;
    assert_int_equal(run("local db = require('sqlite').open 'x'"
                         " assert(db:exec 'CREATE TABLE t (n INTEGER)')"
                         " assert(db:exec('INSERT INTO t VALUES (?)', { 6 }))"
                         " return db:query('SELECT n FROM t')[1].n"),
        6);
}

static void it_knows_the_tenants(void **state) {
    (void)state;
    assert_int_equal(
        run("return #rules.seeds() + #rules.seeds 'acme' * 10 + #rules.seeds 'x' * 100"), 11);
    /* Another shop's trouble is not the job's. */
    folder_mkdir(folder, "tenants/broken");
    folder_write(folder, "tenants/broken/pricing.lua", "not UTF-8: \xff");
    assert_int_equal(run("return #rules.seeds()"), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(what_it_returns_is_the_exit_code),
        CASE(what_it_raises_is_a_failure),
        CASE(it_reaches_the_stores),
        CASE(it_knows_the_tenants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
