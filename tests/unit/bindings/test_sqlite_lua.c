/* test_sqlite_lua.c: the module `sqlite` as scripts see it: values, failures, waiting, cancelling, closing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "bindings/script_host.h"

static char folder[200];
static host_t host;

static int fill(void **state) {
    (void)state;
    host_folder(folder, sizeof folder);
    host_open(&host, loop_new(), &(sqlite_options_t){.data_dir = folder});
    return 0;
}

static int empty(void **state) {
    loop_t *loop = host.loop;
    (void)state;
    host_close(&host);
    loop_delete(loop);
    host_folder_remove(folder);
    return 0;
}

#define SETUP                                                                                      \
    "local sqlite = require 'sqlite' local db = sqlite.open 'test' "                               \
    "assert(db:exec 'CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, v)') "

static void passes(const char *text) {
    assert_int_equal((int)host_run(&host, text), 0);
}

static void values_cross_in_both_directions(void **state) {
    (void)state;
    passes(SETUP "local rows = db:query('SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e, ? AS f, "
                 "typeof(?1) AS ta, typeof(?3) AS tc', "
                 "{ 42, 0.5, true, decimal.new '1.50', json.null, 'x\\0y' }) "
                 "local row = rows[1] "
                 "assert(#rows == 1 and row.a == 42 and row.b == 0.5 and row.c == 1) "
                 "assert(row.d == '1.50' and row.e == nil and row.f == 'x\\0y') "
                 "assert(row.ta == 'integer' and row.tc == 'integer') "
                 "assert(db:query('SELECT ? AS a, ? AS b', { n = 2, nil, 2 })[1].b == 2) "
                 "assert(#db:query 'SELECT 1 WHERE 0' == 0)");
}

static void wrong_arguments_raise_before_anything_happens(void **state) {
    (void)state;
    passes(SETUP "assert(not pcall(db.query, db)) "
                 "assert(not pcall(db.query, db, 'SELECT ?', 'x')) "
                 "assert(not pcall(db.query, db, 'SELECT ?', { {} })) "
                 "assert(not pcall(db.query, db, 'SELECT ?', { print })) "
                 "assert(not pcall(db.query, db, 'SELECT ?', { 0/0 })) "
                 "assert(not pcall(db.query, {}, 'SELECT 1')) "
                 "assert(not pcall(db.transaction, db, { 'x' })) "
                 "assert(not pcall(db.transaction, db, { { 'x', 'y' } })) "
                 "local none, text, name = sqlite.open '../x' "
                 "assert(none == nil and name == 'invalid' and #text > 0)");
}

static void failures_are_nil_text_and_name(void **state) {
    (void)state;
    passes(SETUP "assert(db:exec('INSERT INTO t VALUES (1, 2)') == 1) "
                 "local none, text, name = db:exec 'INSERT INTO t VALUES (1, 2)' "
                 "assert(none == nil and text == 't.n' and name == 'conflict') "
                 "none, text, name = db:query 'DELETE FROM t' "
                 "assert(none == nil and name == 'invalid') "
                 "none, text, name = db:query 'SELECT nonsense' "
                 "assert(none == nil and text:find 'nonsense' and name == 'internal')");
}

static void transactions_answer_each_statement(void **state) {
    (void)state;
    passes(SETUP
        "local r = db:transaction { { 'INSERT INTO t VALUES (?, ?) RETURNING n', { 5, 'a' }, "
        "expect = 1 }, "
        "{ 'UPDATE t SET v = ?', { 'b' } }, { 'SELECT v FROM t' }, "
        "{ 'INSERT INTO t VALUES (5, 1)', may_conflict = true } } "
        "assert(#r == 4 and r[1].rows[1].n == 5 and r[2].changes == 1 and r[3].rows[1].v == 'b') "
        "assert(r[2].rows == nil and r[4].error == 'conflict' and r[4].detail == 't.n') "
        "local none, text, name = db:transaction { { 'DELETE FROM t' }, { 'UPDATE t SET v = 1', "
        "expect = 1 } } "
        "assert(none == nil and name == 'precondition_failed' and #text > 0) "
        "assert(#db:query 'SELECT * FROM t' == 1 and #db:transaction {} == 0)");
}

/* Another worker writes to the same file. */
static void changes_of_others_are_noticed(void **state) {
    host_t other;
    (void)state;
    host_open(&other, host.loop, &(sqlite_options_t){.data_dir = folder});
    passes(SETUP "_G.db = db assert(db:changed() == true) assert(db:changed() == false) "
                 "assert(db:exec 'INSERT INTO t VALUES (1, 1)') assert(db:changed() == false)");
    assert_int_equal(
        (int)host_run(&other, SETUP "assert(db:exec 'INSERT INTO t VALUES (2, 1)')"), 0);
    passes("assert(db:changed() == true) assert(db:changed() == false)");
    host_close(&other);
}

static void a_cancelled_task_lets_the_query_go(void **state) {
    (void)state;
    task_t *task = host_start(&host,
        "require('sqlite').open 'test':query 'WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL "
        "SELECT x + 1 FROM c) SELECT count(*) FROM c'",
        "=test");
    assert_non_null(task);
    loop_turn(host.loop, 10);
    assert_false(host.over);
    task_cancel(task);
    assert_true(host.over);
    passes(SETUP "assert(#db:query 'SELECT 1' == 1)");
}

static void one_file_serves_several_vms(void **state) {
    host_t newer = {.loop = host.loop};
    (void)state;
    sqlite_t *engine = sqlite_new(host.loop, &(sqlite_options_t){.data_dir = folder});
    db_t *first, *second;
    assert_int_equal(sqlite_open(engine, SPAN("test"), false, &first), 0);
    assert_int_equal(sqlite_open(engine, SPAN("test"), true, &second), 0);
    assert_ptr_equal(first, second);
    newer.vm = vm_new_trusted(host.loop, host_load, &newer);
    assert_int_equal(sqlite_lua_open(newer.vm, engine), 0);
    assert_int_equal(
        (int)host_run(&newer, SETUP "assert(db:exec 'INSERT INTO t VALUES (1, 1)')"), 0);
    host_close(&newer);
    passes(SETUP "assert(#db:query 'SELECT * FROM t' == 1)");
}

/* Every allocation of the VM fails in turn; each time the script ends, and the next one works. */
static void out_of_memory_ends_the_script_and_nothing_else(void **state) {
    (void)state;
    passes(SETUP "_G.db = db for i = 1, 20 do assert(db:exec('INSERT INTO t VALUES (?, ?)', { i, "
                 "'x' })) end");
    for (int64_t allowed = 0;; allowed += 3) {
        host.vm->fail_after = allowed;
        host_start(
            &host, "assert(#db:query('SELECT * FROM t WHERE v = ?', { 'x' }) == 20)", "=test");
        host_wait(&host);
        bool enough = host.vm->fail_after > 0;
        host.vm->fail_after = -1;
        if (enough) break;
    }
    passes("assert(#db:query 'SELECT * FROM t' == 20)");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fill, empty)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(values_cross_in_both_directions),
        TEST(wrong_arguments_raise_before_anything_happens), TEST(failures_are_nil_text_and_name),
        TEST(transactions_answer_each_statement), TEST(changes_of_others_are_noticed),
        TEST(a_cancelled_task_lets_the_query_go), TEST(one_file_serves_several_vms),
        TEST(out_of_memory_ends_the_script_and_nothing_else)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
