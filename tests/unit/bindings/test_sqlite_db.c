/* test_sqlite_db.c: one file, several writers: nothing is lost, everything ends, and failures stay with who caused
   them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "bindings/script_host.h"
#include "sqlite/db.h"

/* A query that ends only when it is stopped. */
#define ENDLESS                                                                                    \
    "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
#define MOST_OPS 64

typedef struct call {
    db_op_t op;
    statement_t statements[4];
    result_t results[4];
    int done;
} call_t;

typedef struct bench {
    char folder[200], path[300];
    loop_t *loop;
    db_t *db;
    call_t calls[MOST_OPS];
    int open; /* submitted and not done */
} bench_t;

static bench_t bench;

static void on_done(db_op_t *op) {
    LIST_OWNER(op, call_t, op)->done++;
    bench.open--;
}

static int fill(void **state) {
    (void)state;
    memset(&bench, 0, sizeof bench);
    host_folder(bench.folder, sizeof bench.folder);
    snprintf(bench.path, sizeof bench.path, "%s/test.db", bench.folder);
    bench.loop = loop_new();
    return 0;
}

static int empty(void **state) {
    (void)state;
    if (bench.db) db_delete(bench.db);
    assert_int_equal(bench.open, 0);
    for (int i = 0; i < MOST_OPS; i++)
        buf_destroy(&bench.calls[i].op.job.cells);
    loop_delete(bench.loop);
    host_folder_remove(bench.folder);
    return 0;
}

static db_t *open_db(size_t bound) {
    return db_new(&(db_options_t){
        .loop = bench.loop, .path = bench.path, .name = "test", .readers = 1, .bound = bound});
}

static void start_on(db_t *db, call_t *call, db_kind_t kind, size_t count) {
    job_t *job = &call->op.job;
    job->statements = call->statements;
    job->results = call->results;
    job->count = count;
    if (job->max_bytes == 0) job->max_bytes = 1 << 20;
    call->op.kind = kind;
    call->op.done = on_done;
    call->done = 0;
    bench.open++;
    assert_int_equal(db_submit(db, &call->op), 0);
}

static call_t *start(int index, db_kind_t kind, const char *sql) {
    call_t *call = &bench.calls[index];
    call->statements[0] = (statement_t){.sql = span_of(sql), .expect = -1};
    start_on(bench.db, call, kind, 1);
    return call;
}

static void finish_all(void) {
    while (bench.open > 0)
        loop_turn(bench.loop, 1000);
}

static int run(db_kind_t kind, const char *sql) {
    call_t *call = start(MOST_OPS - 1, kind, sql);
    while (!call->done)
        loop_turn(bench.loop, 1000);
    return call->op.job.err;
}

/* The integer that a query answers. */
static int64_t ask(const char *sql) {
    call_t *call = &bench.calls[MOST_OPS - 1];
    size_t at;
    cell_t cell;
    assert_int_equal(run(DB_READ, sql), 0);
    assert_int_equal(call->results[0].rows, 1);
    at = call->results[0].at;
    cell_read(&call->op.job.cells, &at, &cell);
    cell_read(&call->op.job.cells, &at, &cell);
    assert_int_equal(cell.kind, CELL_INT);
    return cell.integer;
}

static void open_table(void) {
    bench.db = open_db(100);
    assert_non_null(bench.db);
    assert_int_equal(run(DB_WRITE, "CREATE TABLE t (n INTEGER PRIMARY KEY, v)"), 0);
}

/* Another program on the same file, that holds the write lock. */
static sqlite3 *lock_file(void) {
    sqlite3 *other;
    assert_int_equal(sqlite3_open(bench.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return other;
}

static void values_come_back_as_they_went_in(void **state) {
    (void)state;
    open_table();
    call_t *call = &bench.calls[0];
    const cell_t params[] = {{.kind = CELL_INT, .integer = INT64_MIN},
        {.kind = CELL_FLOAT, .number = 0.1}, {.kind = CELL_TEXT, .text = SPAN("a\0b")},
        {.kind = CELL_NULL}};
    call->statements[0] =
        (statement_t){.sql = SPAN("SELECT ?, ?, ?, ?"), .params = params, .count = 4, .expect = 1};
    start_on(bench.db, call, DB_READ, 1);
    finish_all();
    assert_int_equal(call->op.job.err, 0);
    size_t at = call->results[0].at;
    cell_t cell;
    for (int i = 0; i < 4; i++)
        cell_read(&call->op.job.cells, &at, &cell);
    for (int i = 0; i < 4; i++) {
        cell_read(&call->op.job.cells, &at, &cell);
        assert_int_equal(cell.kind, params[i].kind);
        if (cell.kind == CELL_INT) assert_true(cell.integer == INT64_MIN);
        if (cell.kind == CELL_FLOAT) assert_true(cell.number == 0.1);
        if (cell.kind == CELL_TEXT) assert_true(span_eq(cell.text, SPAN("a\0b")));
    }
    assert_int_equal(at, call->op.job.cells.len);
}

static void queries_only_read(void **state) {
    (void)state;
    open_table();
    assert_int_equal(run(DB_READ, "INSERT INTO t VALUES (1, 1)"), ERR_INVALID);
    assert_int_equal(run(DB_READ, "BEGIN"), ERR_INTERNAL);
    assert_int_equal(run(DB_WRITE, "COMMIT"), ERR_INTERNAL);
    assert_int_equal(run(DB_WRITE, "ATTACH 'x.db' AS x"), ERR_INTERNAL);
    assert_int_equal(run(DB_READ, "SELECT 1; SELECT 2"), ERR_INVALID);
    assert_int_equal(run(DB_READ, ""), ERR_INVALID);
    assert_int_equal(run(DB_READ, "SELECT ?"), ERR_INVALID);
    assert_int_equal(run(DB_READ, "SELECT nonsense"), ERR_INTERNAL);
    assert_int_equal(run(DB_READ, "SELECT 1;\n"), 0);
    assert_int_equal(ask("SELECT count(*) FROM t"), 0);
}

static void a_transaction_is_all_or_nothing(void **state) {
    (void)state;
    open_table();
    call_t *call = &bench.calls[0];
    call->statements[0] = (statement_t){.sql = SPAN("INSERT INTO t VALUES (1, 1)"), .expect = 1};
    call->statements[1] = (statement_t){.sql = SPAN("UPDATE t SET v = 2 WHERE n = 9"), .expect = 1};
    start_on(bench.db, call, DB_WRITE, 2);
    finish_all();
    assert_int_equal(call->op.job.err, ERR_PRECONDITION_FAILED);
    assert_int_equal(ask("SELECT count(*) FROM t"), 0);
    call->statements[1] = (statement_t){
        .sql = SPAN("INSERT INTO t VALUES (1, 2)"), .expect = -1, .may_conflict = true};
    start_on(bench.db, call, DB_WRITE, 2);
    finish_all();
    assert_int_equal(call->op.job.err, 0);
    assert_int_equal(call->results[1].err, ERR_CONFLICT);
    assert_string_equal(call->results[1].detail, "t.n");
    assert_int_equal(ask("SELECT v FROM t"), 1);
}

/* The writer waits for a lock while they gather, so that all of them share one commit. */
static void one_failure_in_a_group_stays_alone(void **state) {
    (void)state;
    open_table();
    sqlite3 *other = lock_file();
    char sql[20][80];
    for (int i = 0; i < 20; i++) {
        snprintf(sql[i], sizeof sql[i], "INSERT INTO t VALUES (%d, 1)", i == 7 ? 3 : i);
        start(i, DB_WRITE, sql[i]);
    }
    sqlite3_close(other);
    finish_all();
    for (int i = 0; i < 20; i++)
        assert_int_equal(bench.calls[i].op.job.err, i == 7 ? ERR_CONFLICT : 0);
    assert_int_equal(ask("SELECT count(*) FROM t"), 19);
}

static void a_lost_transaction_takes_no_innocent_along(void **state) {
    (void)state;
    open_table();
    sqlite3 *other = lock_file();
    char sql[20][80];
    for (int i = 0; i < 20; i++) {
        const char *verb = i == 7 ? "INSERT OR ROLLBACK" : "INSERT";
        snprintf(sql[i], sizeof sql[i], "%s INTO t VALUES (%d, 1)", verb, i == 7 || i == 9 ? 3 : i);
        start(i, DB_WRITE, sql[i]);
    }
    sqlite3_close(other);
    finish_all();
    for (int i = 0; i < 20; i++)
        assert_int_equal(bench.calls[i].op.job.err, i == 7 || i == 9 ? ERR_CONFLICT : 0);
    assert_int_equal(ask("SELECT count(*) FROM t"), 18);
}

static void two_writers_lose_no_update(void **state) {
    (void)state;
    open_table();
    assert_int_equal(run(DB_WRITE, "INSERT INTO t VALUES (1, 0)"), 0);
    db_t *second = open_db(100);
    for (int i = 0; i < 60; i++) {
        bench.calls[i].statements[0] =
            (statement_t){.sql = SPAN("UPDATE t SET v = v + 1 WHERE n = 1"), .expect = 1};
        start_on(i % 2 ? second : bench.db, &bench.calls[i], DB_WRITE, 1);
    }
    finish_all();
    for (int i = 0; i < 60; i++)
        assert_int_equal(bench.calls[i].op.job.err, 0);
    assert_int_equal(ask("SELECT v FROM t"), 60);
    db_delete(second);
}

/* Forked before any thread exists; both sides create the file, the table and the row. */
static void count_up(void) {
    bench.db = open_db(100);
    assert_int_equal(run(DB_WRITE, "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, v)"), 0);
    assert_int_equal(run(DB_WRITE, "INSERT OR IGNORE INTO t VALUES (1, 0)"), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(run(DB_WRITE, "UPDATE t SET v = v + 1 WHERE n = 1"), 0);
}

static void two_processes_lose_no_update(void **state) {
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        loop_t *loop = bench.loop;
        bench.loop = loop_new(); /* the parent's loop has its descriptors in the parent */
        (void)loop;
        count_up();
        db_delete(bench.db);
        loop_delete(bench.loop);
        _exit(0);
    }
    count_up();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(ask("SELECT v FROM t"), 100);
}

static void a_cancel_stops_what_runs_and_drops_what_waits(void **state) {
    (void)state;
    open_table();
    call_t *first = start(0, DB_READ, ENDLESS), *second = start(1, DB_READ, ENDLESS);
    call_t *third = start(2, DB_READ, "SELECT 1");
    db_cancel(&second->op);
    loop_turn(bench.loop, 10);
    assert_int_equal(first->done, 0);
    db_cancel(&first->op);
    finish_all();
    assert_int_equal(first->op.job.err, ERR_CANCELLED);
    assert_int_equal(second->op.job.err, ERR_CANCELLED);
    assert_int_equal(third->op.job.err, 0);
    assert_int_equal(first->done + second->done + third->done, 3);
}

static void a_cancelled_write_leaves_its_neighbours(void **state) {
    (void)state;
    open_table();
    sqlite3 *other = lock_file();
    start(0, DB_WRITE, "INSERT INTO t VALUES (1, 1)");
    call_t *endless = start(1, DB_WRITE, "INSERT INTO t (v) " ENDLESS);
    start(2, DB_WRITE, "INSERT INTO t VALUES (2, 1)");
    sqlite3_close(other);
    loop_turn(bench.loop, 20);
    db_cancel(&endless->op);
    finish_all();
    assert_int_equal(endless->op.job.err, ERR_CANCELLED);
    assert_int_equal(bench.calls[0].op.job.err, 0);
    assert_int_equal(bench.calls[2].op.job.err, 0);
    assert_int_equal(ask("SELECT count(*) FROM t"), 2);
}

static void deadlines_end_queries_and_waits_for_locks(void **state) {
    (void)state;
    open_table();
    call_t *call = &bench.calls[0];
    call->op.job.deadline_ns = clock_mono_ns() + 20000000;
    start(0, DB_READ, ENDLESS);
    finish_all();
    assert_int_equal(call->op.job.err, ERR_TIMEOUT);
    sqlite3 *other = lock_file();
    call->op.job.deadline_ns = clock_mono_ns() + 20000000;
    start(0, DB_WRITE, "INSERT INTO t VALUES (1, 1)");
    finish_all();
    assert_int_equal(call->op.job.err, ERR_TIMEOUT);
    sqlite3_close(other);
    assert_int_equal(run(DB_WRITE, "INSERT INTO t VALUES (1, 1)"), 0);
}

static void a_bounded_wait_for_a_lock_is_busy(void **state) {
    (void)state;
    open_table();
    db_delete(bench.db);
    bench.db = db_new(&(db_options_t){.loop = bench.loop,
        .path = bench.path,
        .name = "test",
        .readers = 1,
        .bound = 10,
        .busy_ms = 5});
    sqlite3 *other = lock_file();
    assert_int_equal(run(DB_WRITE, "INSERT INTO t VALUES (1, 1)"), ERR_BUSY);
    assert_int_equal(ask("SELECT count(*) FROM t"), 0);
    sqlite3_close(other);
    assert_int_equal(run(DB_WRITE, "INSERT INTO t VALUES (1, 1)"), 0);
}

static void the_queue_has_a_bound(void **state) {
    (void)state;
    open_table();
    db_delete(bench.db);
    bench.db = open_db(2);
    int accepted = 0;
    for (int i = 0; i < 4; i++) {
        call_t *call = &bench.calls[i];
        call->statements[0] = (statement_t){.sql = SPAN(ENDLESS), .expect = -1};
        call->op = (db_op_t){.kind = DB_READ, .done = on_done};
        call->op.job =
            (job_t){.statements = call->statements, .results = call->results, .count = 1};
        int err = db_submit(bench.db, &call->op);
        if (err) {
            assert_int_equal(err, ERR_BUSY);
            break;
        }
        accepted++;
        bench.open++;
    }
    assert_in_range(accepted, 2, 3);
    for (int i = 0; i < accepted; i++)
        db_cancel(&bench.calls[i].op);
    finish_all();
}

static void results_have_a_bound(void **state) {
    (void)state;
    open_table();
    bench.calls[0].op.job.max_bytes = 1000;
    call_t *call = start(0, DB_READ, "SELECT zeroblob(2000)");
    finish_all();
    assert_int_equal(call->op.job.err, ERR_TOO_LARGE);
}

static void closing_ends_everything_once(void **state) {
    (void)state;
    open_table();
    for (int i = 0; i < 10; i++)
        start(i, DB_WRITE, "INSERT INTO t (v) VALUES (1)");
    for (int i = 10; i < 20; i++)
        start(i, DB_READ, "SELECT count(*) FROM t");
    db_delete(bench.db);
    bench.db = NULL;
    for (int i = 0; i < 20; i++) {
        int err = bench.calls[i].op.job.err;
        assert_int_equal(bench.calls[i].done, 1);
        assert_true(err == 0 || err == ERR_CLOSED);
    }
}

static void write_file(const char *path, const char *text, size_t times) {
    FILE *file = fopen(path, "wb");
    for (size_t i = 0; i < times; i++)
        fputs(text, file);
    fclose(file);
}

static void a_damaged_file_is_an_error_until_it_is_repaired(void **state) {
    (void)state;
    write_file(bench.path, "this is no database ", 1000);
    bench.db = open_db(10);
    assert_int_equal(run(DB_WRITE, "CREATE TABLE t (n)"), ERR_UNAVAILABLE);
    assert_non_null(strstr(bench.calls[MOST_OPS - 1].op.job.detail, "damaged"));
    assert_int_equal(run(DB_READ, "SELECT 1"), ERR_UNAVAILABLE);
    unlink(bench.path);
    assert_int_equal(run(DB_WRITE, "CREATE TABLE t (n)"), 0);
    assert_int_equal(ask("SELECT count(*) FROM t"), 0);
}

static void a_file_that_cannot_be_opened_is_an_error(void **state) {
    (void)state;
    snprintf(bench.path, sizeof bench.path, "%s/absent/test.db", bench.folder);
    bench.db = open_db(10);
    assert_int_equal(run(DB_READ, "SELECT 1"), ERR_UNAVAILABLE);
    assert_int_equal(run(DB_WRITE, "CREATE TABLE t (n)"), ERR_UNAVAILABLE);
}

static void a_full_disk_is_an_error_and_keeps_what_was_there(void **state) {
    (void)state;
    open_table();
    assert_int_equal(run(DB_WRITE, "INSERT INTO t VALUES (1, 'kept')"), 0);
    assert_int_equal(run(DB_WRITE, "PRAGMA max_page_count = 8"), 0);
    assert_int_equal(run(DB_WRITE, "INSERT INTO t VALUES (2, zeroblob(100000))"), ERR_UNAVAILABLE);
    assert_non_null(strstr(bench.calls[MOST_OPS - 1].op.job.detail, "no space"));
    assert_int_equal(ask("SELECT count(*) FROM t"), 1);
    assert_int_equal(run(DB_WRITE, "PRAGMA max_page_count = 1000"), 0);
    assert_int_equal(run(DB_WRITE, "INSERT INTO t VALUES (2, zeroblob(100000))"), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fill, empty)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(values_come_back_as_they_went_in),
        TEST(queries_only_read), TEST(a_transaction_is_all_or_nothing),
        TEST(one_failure_in_a_group_stays_alone), TEST(a_lost_transaction_takes_no_innocent_along),
        TEST(two_writers_lose_no_update), TEST(two_processes_lose_no_update),
        TEST(a_cancel_stops_what_runs_and_drops_what_waits),
        TEST(a_cancelled_write_leaves_its_neighbours),
        TEST(deadlines_end_queries_and_waits_for_locks), TEST(a_bounded_wait_for_a_lock_is_busy),
        TEST(the_queue_has_a_bound), TEST(results_have_a_bound), TEST(closing_ends_everything_once),
        TEST(a_damaged_file_is_an_error_until_it_is_repaired),
        TEST(a_file_that_cannot_be_opened_is_an_error),
        TEST(a_full_disk_is_an_error_and_keeps_what_was_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
