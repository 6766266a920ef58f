/* test_postgres_server.c: the driver on the server of PERIGEE_TEST_POSTGRES_URL; without one, nothing.
   PERIGEE_TEST_POSTGRES_LISTEN_URL is a direct way past a pooler, _READ_URL a replica that replays nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "postgres_rig.h"

static const char *url, *listen_url, *read_url;

static void test_a_query(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    ask_t ask;
    rig_prepare(&ask, "select $1::int + $2::int", "40", "2");
    rig_add(&ask, "select current_setting('perigee.tenant', true)", NULL, NULL);
    ask.query.tenant = SPAN("shop-1");
    assert_int_equal(postgres_submit(postgres, &ask.query), 0);
    RIG_UNTIL(loop, ask.done);
    assert_int_equal(ask.err, 0);
    assert_string_equal(ask.cell[0], "42");
    assert_string_equal(ask.cell[1], "shop-1");
    assert_true(postgres_up(postgres));
    for (int i = 0; i < 4;
         i++) { /* the fence does not outlive its segment, on whichever connection */
        rig_run(
            loop, postgres, &ask, "select coalesce(current_setting('perigee.tenant', true), '')");
        assert_string_equal(ask.cell[0], "");
    }
    loop_delete(loop);
}

/* One fails in the middle: its neighbours of the same turn do not. */
static void test_neighbours(void **state) {
    (void)state;
    enum { COUNT = 200 };
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    ask_t *asks = calloc(COUNT, sizeof *asks);
    char numbers[COUNT][16];
    int done = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            snprintf(numbers[i], sizeof numbers[i], "%d", i);
            bool bad = i % 10 == 3;
            rig_prepare(&asks[i], bad ? "select 1 / ($1::int - $1::int)" : "select $1::text",
                numbers[i], NULL);
            assert_int_equal(postgres_submit(postgres, &asks[i].query), 0);
        }
        for (int i = 0; i < COUNT; i++) {
            RIG_UNTIL(loop, asks[i].done);
            assert_int_equal(asks[i].done, 1);
            assert_int_equal(asks[i].err, i % 10 == 3 ? ERR_INVALID : 0);
            assert_string_equal(i % 10 == 3 ? asks[i].sqlstate : asks[i].cell[0],
                i % 10 == 3 ? "22012" : numbers[i]);
            done++;
        }
    }
    assert_int_equal(done, 3 * COUNT);
    free(asks);
    loop_delete(loop);
}

static void test_a_batch_has_one_fate(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    ask_t ask;
    rig_run(loop, postgres, &ask, "drop table if exists driver_fate");
    rig_run(loop, postgres, &ask,
        "create table driver_fate (id int constraint driver_fate_id primary key)");
    assert_int_equal(ask.err, 0);
    rig_prepare(&ask, "insert into driver_fate values ($1::int)", "1", NULL);
    rig_add(&ask, "insert into driver_fate values ($1::int)", "2", NULL);
    rig_add(&ask, "insert into driver_fate values ($1::int)", "1", NULL);
    rig_add(&ask, "insert into driver_fate values ($1::int)", "3", NULL);
    assert_int_equal(postgres_submit(postgres, &ask.query), 0);
    RIG_UNTIL(loop, ask.done);
    assert_int_equal(ask.err, ERR_CONFLICT);
    assert_int_equal(ask.failed, 2);
    assert_string_equal(ask.sqlstate, "23505");
    assert_string_equal(ask.constraint, "driver_fate_id");
    rig_run(loop, postgres, &ask, "select count(*) from driver_fate");
    assert_string_equal(ask.cell[0], "0");
    loop_delete(loop);
}

/* A table changes under a statement that was prepared on each connection. */
static void test_a_changed_table(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    ask_t ask;
    rig_run(loop, postgres, &ask, "drop table if exists driver_changed");
    rig_run(loop, postgres, &ask, "create table driver_changed (a int)");
    rig_run(loop, postgres, &ask, "insert into driver_changed values (7)");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 6; i++) {
            rig_run(loop, postgres, &ask, "select * from driver_changed");
            assert_int_equal(ask.err, 0);
            assert_string_equal(ask.cell[0], "7");
        }
        rig_run(loop, postgres, &ask,
            round ? "alter table driver_changed alter a type text"
                  : "alter table driver_changed add b int");
        assert_int_equal(ask.err, 0);
    }
    loop_delete(loop);
}

static void test_more_statements_than_are_kept(void **state) {
    (void)state;
    enum { COUNT = 450 };
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client_with(loop, (postgres_options_t){.url = url, .shared = 1});
    ask_t ask;
    for (int i = 0; i < COUNT; i++) {
        char sql[64], number[16];
        snprintf(number, sizeof number, "%d", i);
        snprintf(sql, sizeof sql, "select %d::text", i);
        rig_run(loop, postgres, &ask, sql);
        assert_string_equal(ask.cell[0], number);
    }
    rig_run(loop, postgres, &ask,
        "select count(*) <= 201 and count(*) > 150 from pg_prepared_statements");
    assert_string_equal(ask.cell[0], "t");
    loop_delete(loop);
}

/* Many at once, and then one after the other on a connection that always has something under way. */
static void test_more_statements_while_it_is_busy(void **state) {
    (void)state;
    enum { COUNT = 900, AT_ONCE = 300 };
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client_with(loop, (postgres_options_t){.url = url, .shared = 1});
    ask_t *asks = calloc(AT_ONCE, sizeof *asks), ask;
    char(*sql)[64] = calloc(COUNT, sizeof *sql);
    for (int i = 0; i < COUNT + AT_ONCE; i++) {
        ask_t *next = &asks[i % AT_ONCE];
        if (i >= AT_ONCE) RIG_UNTIL(loop, next->done);
        if (i >= AT_ONCE) assert_int_equal(next->err, 0);
        if (i >= COUNT) continue;
        snprintf(sql[i], sizeof sql[i], "select %d::text", i);
        rig_submit(postgres, next, sql[i]);
    }
    rig_run(loop, postgres, &ask, "select count(*) <= 201 from pg_prepared_statements");
    assert_string_equal(ask.cell[0], "t");
    free(asks);
    free(sql);
    loop_delete(loop);
}

/* A machine that is slow to cancel makes the driver give the connection up, so what is asked may be asked twice. */
static void submit_repeatable(postgres_t *postgres, ask_t *ask, const char *sql) {
    rig_prepare(ask, sql, NULL, NULL);
    ask->query.repeatable = true;
    assert_int_equal(postgres_submit(postgres, &ask->query), 0);
}

/* The oldest is cancelled when its time is up; what stands behind it is answered all the same. */
static void test_a_deadline(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client_with(loop, (postgres_options_t){.url = url, .shared = 1});
    ask_t slow, behind[5], after;
    rig_run(loop, postgres, &after, "select 1");
    for (int round = 0; round < 3; round++) {
        rig_prepare(&slow, "select pg_sleep(3600)", NULL, NULL);
        slow.query.deadline_ms = loop_now(loop) + 150;
        assert_int_equal(postgres_submit(postgres, &slow.query), 0);
        for (int i = 0; i < 5; i++)
            submit_repeatable(postgres, &behind[i], "select 'behind'");
        RIG_UNTIL(loop, slow.done);
        assert_int_equal(slow.err, ERR_TIMEOUT);
        assert_true(slow.sent);
        submit_repeatable(postgres, &after, "select 'after'");
        RIG_UNTIL(loop, after.done);
        assert_string_equal(after.cell[0], "after");
        for (int i = 0; i < 5; i++) {
            RIG_UNTIL(loop, behind[i].done);
            assert_string_equal(behind[i].cell[0], "behind");
        }
    }
    loop_delete(loop);
}

/* Cancels that come just when their query ends hit a neighbour sooner or later; nobody notices. */
static void test_cancels_in_a_race(void **state) {
    (void)state;
    enum { COUNT = 40 };
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client_with(loop, (postgres_options_t){.url = url, .shared = 1});
    ask_t *asks = calloc(COUNT, sizeof *asks);
    rig_run(loop, postgres, &asks[0], "select 1");
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < COUNT; i++) {
            bool late = i % 4 == 0;
            rig_prepare(&asks[i],
                late ? "select pg_sleep(0.02)" : "select pg_sleep(0.002), $1::text",
                late ? NULL : "x", NULL);
            asks[i].query.repeatable = true;
            if (late) asks[i].query.deadline_ms = loop_now(loop) + 1 + (uint64_t)(i + round) * 2;
            assert_int_equal(postgres_submit(postgres, &asks[i].query), 0);
        }
        for (int i = 0; i < COUNT; i++)
            RIG_UNTIL(loop, asks[i].done);
        for (int i = 0; i < COUNT; i++)
            if (i % 4) assert_int_equal(asks[i].err, 0);
    }
    free(asks);
    loop_delete(loop);
}

static void test_a_transaction(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    hold_t hold;
    ask_t ask;
    rig_get(loop, postgres, &hold);
    rig_prepare(&ask, "begin isolation level serializable", NULL, NULL);
    rig_add(&ask, "select current_setting('transaction_isolation')", NULL, NULL);
    ask.query.tenant = SPAN("shop-2");
    assert_int_equal(postgres_lease_submit(&hold.lease, &ask.query), 0);
    RIG_UNTIL(loop, ask.done);
    assert_int_equal(ask.err, 0);
    assert_string_equal(ask.cell[1], "serializable");
    assert_int_equal(postgres_lease_state(&hold.lease), PQTRANS_INTRANS);
    rig_do(loop, &hold, &ask, "select current_setting('perigee.tenant')");
    assert_string_equal(ask.cell[0], "shop-2");
    rig_do(loop, &hold, &ask, "savepoint one");
    rig_do(loop, &hold, &ask, "select 1/0");
    assert_int_equal(postgres_lease_state(&hold.lease), PQTRANS_INERROR);
    rig_do(loop, &hold, &ask, "rollback to savepoint one");
    assert_int_equal(postgres_lease_state(&hold.lease), PQTRANS_INTRANS);
    rig_do(loop, &hold, &ask, "commit");
    assert_int_equal(ask.err, 0);
    assert_int_equal(postgres_lease_state(&hold.lease), PQTRANS_IDLE);
    lease_end(&hold.lease, true);
    assert_int_equal(postgres_counts(postgres).idle, 1);
    loop_delete(loop);
}

/* Given back in the middle of something: the next one finds it as new. */
static void test_left_dirty(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client_with(loop, (postgres_options_t){.url = url, .pool_max = 1});
    hold_t hold;
    ask_t ask, slow;
    rig_get(loop, postgres, &hold);
    rig_do(loop, &hold, &ask, "set search_path to nowhere");
    rig_do(loop, &hold, &ask, "begin");
    rig_do(loop, &hold, &ask, "select set_config('perigee.tenant', 'other', false)");
    rig_prepare(&slow, "select pg_sleep(3600)", NULL, NULL);
    assert_int_equal(postgres_lease_submit(&hold.lease, &slow.query), 0);
    rig_settle(loop);
    lease_end(&hold.lease, false);
    RIG_UNTIL(loop, slow.done);
    assert_int_equal(slow.err, ERR_CLOSED);
    rig_get(loop, postgres, &hold);
    rig_do(loop, &hold, &ask,
        "select current_setting('search_path') || coalesce(current_setting('perigee.tenant', "
        "true), '')");
    assert_string_equal(ask.cell[0], "\"$user\", public");
    rig_do(loop, &hold, &ask, "select pg_advisory_lock(7)");
    lease_end(&hold.lease, true);
    rig_get(loop, postgres, &hold);
    rig_do(loop, &hold, &ask, "select count(*) from pg_locks where locktype = 'advisory'");
    assert_string_equal(ask.cell[0], "0");
    lease_end(&hold.lease, true);
    loop_delete(loop);
}

static void test_a_slow_query(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres =
        rig_client_with(loop, (postgres_options_t){.url = url, .shared = 1, .pool_max = 2});
    ask_t slow[3], quick;
    for (int i = 0; i < 3; i++) {
        rig_prepare(&slow[i], "select pg_sleep(0.2), 'slow'", NULL, NULL);
        slow[i].query.slow = true;
        slow[i].query.tenant = i ? SPAN("a") : SPAN("b");
        assert_int_equal(postgres_submit(postgres, &slow[i].query), 0);
    }
    rig_run(loop, postgres, &quick, "select 'quick'");
    for (int i = 0; i < 3; i++) {
        RIG_UNTIL(loop, slow[i].done);
        assert_int_equal(slow[i].err, 0);
    }
    loop_delete(loop);
}

static int count_running(loop_t *loop, postgres_t *postgres, const char *what) {
    ask_t ask;
    rig_prepare(&ask,
        "select count(*) from pg_stat_activity where query like '%' || $1 || '%' and "
        "state = 'active' and pid <> pg_backend_pid()",
        what, NULL);
    assert_int_equal(postgres_submit(postgres, &ask.query), 0);
    RIG_UNTIL(loop, ask.done);
    return atoi(ask.cell[0]);
}

static void test_a_slow_query_is_stopped(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    ask_t slow;
    char mark[32], sql[80];
    snprintf(mark, sizeof mark, "sleeper %d", (int)getpid());
    snprintf(sql, sizeof sql, "select pg_sleep(3600) /* %s */", mark);
    rig_prepare(&slow, sql, NULL, NULL);
    slow.query.slow = true;
    slow.query.deadline_ms = loop_now(loop) + 500;
    assert_int_equal(postgres_submit(postgres, &slow.query), 0);
    RIG_UNTIL(loop, slow.done);
    assert_int_equal(slow.err, ERR_TIMEOUT);
    RIG_UNTIL(loop, count_running(loop, postgres, mark) == 0);
    loop_delete(loop);
}

static void take_chunk(postgres_query_t *query, const PGresult *rows) {
    ask_t *ask = query->data;
    ask->chunks++;
    ask->chunk_rows += PQntuples(rows);
}

static void test_rows_as_they_come(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    hold_t hold;
    ask_t ask;
    rig_get(loop, postgres, &hold);
    for (int round = 0; round < 2; round++) {
        rig_prepare(&ask, "select 'first'", NULL, NULL);
        rig_add(&ask, "select i, repeat('x', 1000) from generate_series(1, 20000) i", NULL, NULL);
        ask.query.tenant = SPAN("shop");
        ask.query.chunk = take_chunk;
        assert_int_equal(postgres_lease_submit(&hold.lease, &ask.query), 0);
        RIG_UNTIL(loop, ask.chunk_rows > 10);
        postgres_lease_pause(&hold.lease, true);
        int before = ask.chunk_rows;
        for (int i = 0; i < 20; i++)
            loop_turn(loop, 5);
        assert_int_equal(ask.chunk_rows, before);
        assert_int_equal(ask.done, 0);
        postgres_lease_pause(&hold.lease, false);
        RIG_UNTIL(loop, ask.done);
        assert_int_equal(ask.err, 0);
        assert_int_equal(ask.chunk_rows, 20000);
        assert_string_equal(ask.cell[0], "first");
        assert_int_equal(ask.rows[1], 0);
    }
    rig_do(loop, &hold, &ask, "select 'after'");
    assert_string_equal(ask.cell[0], "after");
    lease_end(&hold.lease, true);
    loop_delete(loop);
}

/* A consumer that has gone in the middle: what comes is thrown away, the connection is good again. */
static void test_rows_nobody_takes(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client_with(loop, (postgres_options_t){.url = url, .pool_max = 1});
    hold_t hold;
    ask_t ask;
    rig_get(loop, postgres, &hold);
    rig_prepare(&ask, "select generate_series(1, 100000000)", NULL, NULL);
    ask.query.chunk = take_chunk;
    assert_int_equal(postgres_lease_submit(&hold.lease, &ask.query), 0);
    RIG_UNTIL(loop, ask.chunk_rows > 10);
    postgres_lease_pause(&hold.lease, true);
    lease_end(&hold.lease, false);
    RIG_UNTIL(loop, ask.done);
    assert_int_equal(ask.err, ERR_CLOSED);
    rig_get(loop, postgres, &hold);
    rig_do(loop, &hold, &ask, "select 'good'");
    assert_string_equal(ask.cell[0], "good");
    lease_end(&hold.lease, true);
    loop_delete(loop);
}

/* A result that is too large harms nobody else on its connection. */
static void test_a_large_result(void **state) {
    (void)state;
    static const char LARGE[] = "select i, repeat('x', 1000) from generate_series(1, 50000) i";
    loop_t *loop = loop_new();
    postgres_t *postgres =
        rig_client_with(loop, (postgres_options_t){.url = url, .shared = 1, .result_max = 1 << 20});
    ask_t large, behind[5];
    for (int round = 0; round < 3; round++) {
        rig_submit(postgres, &large, LARGE);
        for (int i = 0; i < 5; i++)
            submit_repeatable(postgres, &behind[i], "select 'behind'");
        RIG_UNTIL(loop, large.done);
        assert_int_equal(large.err, ERR_TOO_LARGE);
        assert_non_null(strstr(large.detail, "1048576 bytes (postgres_result_max_bytes)"));
        for (int i = 0; i < 5; i++) {
            RIG_UNTIL(loop, behind[i].done);
            assert_string_equal(behind[i].cell[0], "behind");
        }
    }
    loop_delete(loop);
}

typedef struct copying {
    postgres_copy_t copy;
    int ready, done;
    size_t bytes, rows;
} copying_t;

static void copy_ready(postgres_copy_t *copy) {
    ((copying_t *)copy->user)->ready++;
}

static void copy_data(postgres_copy_t *copy, span_t bytes) {
    ((copying_t *)copy->user)->bytes += bytes.len;
    ((copying_t *)copy->user)->rows++;
}

static void copy_done(postgres_copy_t *copy) {
    ((copying_t *)copy->user)->done++;
}

static void copy_start(hold_t *hold, copying_t *copying, const char *sql) {
    memset(copying, 0, sizeof *copying);
    copying->copy = (postgres_copy_t){
        .sql = sql, .ready = copy_ready, .data = copy_data, .done = copy_done, .user = copying};
    assert_int_equal(postgres_copy(&hold->lease, &copying->copy), 0);
}

/* While another one holds the lock the server takes no second row: what is written is refused sooner or later. Then the
   lock goes, and there is room again. How many rows were written. */
static int copy_in(loop_t *loop, postgres_t *postgres, copying_t *copying, hold_t *hold) {
    hold_t keeper;
    ask_t ask;
    char row[1024];
    int waits = 0, count = 0;
    rig_get(loop, postgres, &keeper);
    rig_do(loop, &keeper, &ask, "begin");
    rig_do(loop, &keeper, &ask, "select pg_advisory_xact_lock(7)");
    assert_int_equal(ask.err, 0);
    copy_start(hold, copying, "copy copied (id, text) from stdin");
    RIG_UNTIL(loop, copying->ready == 1);
    for (; count < 20000 || !waits; count++) {
        assert_true(count < 1000000);
        int len = snprintf(row, sizeof row, "%d\t%0500d\n", count, count);
        if (postgres_copy_write(&copying->copy, (span_t){row, (size_t)len})) continue;
        if (!waits++) rig_do(loop, &keeper, &ask, "commit");
        RIG_UNTIL(loop, copying->ready == 1 + waits);
    }
    lease_end(&keeper.lease, true);
    return count;
}

static void test_copy(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    hold_t hold;
    ask_t ask;
    copying_t copying;
    char sum[32];
    rig_get(loop, postgres, &hold);
    rig_do(loop, &hold, &ask,
        "create temporary table copied (id int primary key, text text,"
        " held text default pg_advisory_xact_lock_shared(7)::text)");
    assert_int_equal(ask.err, 0);
    int count = copy_in(loop, postgres, &copying, &hold);
    postgres_copy_end(&copying.copy, NULL);
    RIG_UNTIL(loop, copying.done);
    assert_int_equal(copying.copy.err, 0);
    assert_int_equal(copying.copy.rows, count);
    copy_start(&hold, &copying, "copy copied (id, text) to stdout");
    RIG_UNTIL(loop, copying.rows > 100);
    postgres_lease_pause(&hold.lease, true);
    size_t before = copying.rows;
    for (int i = 0; i < 20; i++)
        loop_turn(loop, 5);
    assert_int_equal(copying.rows, before);
    postgres_lease_pause(&hold.lease, false);
    RIG_UNTIL(loop, copying.done);
    assert_int_equal(copying.rows, count);
    assert_int_equal(copying.copy.rows, count);
    rig_do(loop, &hold, &ask, "select sum(text::int) from copied");
    snprintf(sum, sizeof sum, "%lld", (long long)count * (count - 1) / 2);
    assert_string_equal(ask.cell[0], sum);
    lease_end(&hold.lease, true);
    loop_delete(loop);
}

/* Neither end would ever say a word. */
static void test_copy_the_other_way(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    hold_t hold;
    ask_t ask;
    copying_t copying;
    rig_get(loop, postgres, &hold);
    rig_do(loop, &hold, &ask, "create temporary table copied as select generate_series(1, 5) id");
    copy_start(&hold, &copying, "copy copied to stdout");
    copying.copy.data = NULL;
    RIG_UNTIL(loop, copying.done);
    assert_int_equal(copying.copy.err, ERR_INVALID);
    copy_start(&hold, &copying, "copy copied from stdin");
    copying.copy.ready = NULL;
    RIG_UNTIL(loop, copying.done);
    assert_int_equal(copying.copy.err, ERR_INVALID);
    rig_do(loop, &hold, &ask, "select count(*) from copied");
    assert_string_equal(ask.cell[0], "5");
    lease_end(&hold.lease, true);
    loop_delete(loop);
}

static void test_copy_that_fails(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client_with(loop, (postgres_options_t){.url = url, .pool_max = 1});
    hold_t hold;
    ask_t ask;
    copying_t copying;
    rig_get(loop, postgres, &hold);
    rig_do(loop, &hold, &ask, "create temporary table copied (id int primary key)");
    copy_start(&hold, &copying, "copy nowhere from stdin");
    RIG_UNTIL(loop, copying.done);
    assert_string_equal(copying.copy.sqlstate, "42P01");
    copy_start(&hold, &copying, "copy copied from stdin");
    RIG_UNTIL(loop, copying.ready);
    postgres_copy_write(&copying.copy, SPAN("1\n2\n1\n"));
    postgres_copy_end(&copying.copy, NULL);
    RIG_UNTIL(loop, copying.done);
    assert_int_equal(copying.copy.err, ERR_CONFLICT);
    assert_string_equal(copying.copy.constraint, "copied_pkey");
    copy_start(&hold, &copying, "copy copied from stdin");
    RIG_UNTIL(loop, copying.ready);
    postgres_copy_write(&copying.copy, SPAN("1\n2\n"));
    postgres_copy_end(&copying.copy, "the import was stopped");
    RIG_UNTIL(loop, copying.done);
    assert_string_equal(copying.copy.sqlstate, "57014");
    rig_do(loop, &hold, &ask, "select count(*) from copied");
    assert_string_equal(ask.cell[0], "0");
    copy_start(&hold, &copying, "copy (select generate_series(1, 100000000)) to stdout");
    RIG_UNTIL(loop, copying.rows > 10);
    lease_end(&hold.lease, false); /* in the middle */
    RIG_UNTIL(loop, copying.done);
    assert_int_equal(copying.copy.err, ERR_CLOSED);
    rig_get(loop, postgres, &hold);
    copy_start(&hold, &copying, "copy (select pg_sleep(3600)) to stdout");
    copying.copy.user = &copying;
    lease_end(&hold.lease, false);
    RIG_UNTIL(loop, copying.done);
    loop_delete(loop);
}

typedef struct hearing {
    postgres_subscription_t subscription;
    int notified, missed;
    char last[32];
} hearing_t;

static void on_notified(postgres_subscription_t *subscription, span_t payload) {
    hearing_t *hearing = subscription->data;
    hearing->notified++;
    snprintf(hearing->last, sizeof hearing->last, "%.*s", (int)payload.len, payload.ptr);
}

static void on_missed(postgres_subscription_t *subscription) {
    ((hearing_t *)subscription->data)->missed++;
}

static void hear(postgres_t *postgres, hearing_t *hearing, const char *channel) {
    memset(hearing, 0, sizeof *hearing);
    hearing->subscription = (postgres_subscription_t){
        .channel = span_of(channel), .notified = on_notified, .missed = on_missed, .data = hearing};
    assert_int_equal(postgres_subscribe(postgres, &hearing->subscription), 0);
}

static void test_notifications(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres =
        rig_client_with(loop, (postgres_options_t){.url = url, .listen_url = listen_url});
    hearing_t one, other, many[40];
    char names[40][24];
    ask_t ask;
    postgres_subscription_t none = {.channel = SPAN("no \xff UTF-8")};
    assert_int_equal(postgres_subscribe(postgres, &none), ERR_INVALID);
    hear(postgres, &one, "Driver \"one\"");
    hear(postgres, &other, "driver_other");
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "many_%d", i);
        hear(postgres, &many[i], names[i]);
    }
    for (int i = 0; i < 40; i++)
        RIG_UNTIL(loop, many[i].subscription.live);
    assert_true(one.subscription.live && other.subscription.live);
    assert_int_equal(one.missed, 1);
    rig_run(loop, postgres, &ask, "select pg_notify('Driver \"one\"', 'hello')");
    RIG_UNTIL(loop, one.notified);
    assert_string_equal(one.last, "hello");
    assert_int_equal(other.notified, 0);
    rig_run(loop, postgres, &ask,
        "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%'");
    RIG_UNTIL(loop, one.missed >= 3 && one.subscription.live && other.subscription.live);
    postgres_unsubscribe(&one.subscription);
    rig_run(loop, postgres, &ask,
        "select pg_notify('Driver \"one\"', 'nobody'), pg_notify('driver_other', 'x')");
    RIG_UNTIL(loop, other.notified);
    assert_int_equal(one.notified, 1);
    hear(postgres, &one, "Driver \"one\"");
    RIG_UNTIL(loop, one.subscription.live);
    rig_run(loop, postgres, &ask, "select pg_notify('Driver \"one\"', 'again')");
    RIG_UNTIL(loop, one.notified);
    loop_delete(loop);
}

/* An administrator ends the connections in the middle of queries. */
static void test_ended_sessions(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client_with(loop, (postgres_options_t){.url = url, .shared = 1});
    postgres_t *other = rig_client_with(loop, (postgres_options_t){.url = url, .shared = 1});
    ask_t once, again, ask, pid;
    rig_run(loop, postgres, &pid, "select pg_backend_pid()");
    rig_prepare(&once, "select pg_sleep(30), 'once'", NULL, NULL);
    rig_prepare(&again, "select 'again'", NULL, NULL);
    again.query.repeatable = true;
    assert_int_equal(postgres_submit(postgres, &once.query), 0);
    assert_int_equal(postgres_submit(postgres, &again.query), 0);
    rig_settle(loop);
    rig_prepare(&ask, "select pg_terminate_backend($1::int)", pid.cell[0], NULL);
    assert_int_equal(postgres_submit(other, &ask.query), 0);
    RIG_UNTIL(loop, once.done && again.done);
    assert_int_equal(once.err, ERR_CLOSED);
    assert_string_equal(once.sqlstate, "57P01");
    assert_int_equal(again.err, 0);
    assert_string_equal(again.cell[0], "again");
    loop_delete(loop);
}

static void test_refused_by_name(void **state) {
    (void)state;
    static const char *const OWN[] = {"begin", " /* x /* y */ */ COMMIT", "set a.b = 1",
        "-- x\nCreate Temp table x ()", "savepoint x"};
    static const char *const NEVER[] = {"copy x from stdin", "LISTEN x", "discard all"};
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    ask_t ask;
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++) {
        rig_prepare(&ask, OWN[i], NULL, NULL);
        assert_int_equal(postgres_submit(postgres, &ask.query), ERR_INVALID);
    }
    hold_t hold;
    rig_get(loop, postgres, &hold);
    for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++) {
        rig_prepare(&ask, NEVER[i], NULL, NULL);
        assert_int_equal(postgres_lease_submit(&hold.lease, &ask.query), ERR_INVALID);
    }
    lease_end(&hold.lease, true);
    loop_delete(loop);
}

/* The end comes while everything is under way. */
static void test_the_end(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres = rig_client(loop, url);
    ask_t asks[4], slow, on_lease;
    hold_t hold, waiting;
    hearing_t hearing;
    rig_get(loop, postgres, &hold);
    rig_prepare(&on_lease, "select pg_sleep(3600)", NULL, NULL);
    assert_int_equal(postgres_lease_submit(&hold.lease, &on_lease.query), 0);
    hear(postgres, &hearing, "driver_end");
    for (int i = 0; i < 4; i++)
        rig_submit(postgres, &asks[i], "select pg_sleep(3600)");
    rig_prepare(&slow, "select pg_sleep(3600)", NULL, NULL);
    slow.query.slow = true;
    assert_int_equal(postgres_submit(postgres, &slow.query), 0);
    rig_settle(loop);
    rig_want(postgres, &waiting, "shop");
    loop_delete(loop);
    for (int i = 0; i < 4; i++)
        assert_int_equal(asks[i].err, ERR_CLOSED);
    assert_int_equal(slow.err, ERR_CLOSED);
    assert_int_equal(on_lease.err, ERR_CLOSED);
    assert_int_equal(waiting.lease.err, ERR_CLOSED);
    lease_end(&hold.lease, false);
}

static void read_count(loop_t *loop, postgres_t *postgres, ask_t *ask, uint64_t min_lsn) {
    RIG_UNTIL(loop, postgres_lag(postgres).known); /* else it is not asked */
    rig_prepare(ask, "select count(*) from driver_read", NULL, NULL);
    ask->query.replica = true;
    ask->query.min_lsn = min_lsn;
    assert_int_equal(postgres_submit(postgres, &ask->query), 0);
    RIG_UNTIL(loop, ask->done);
}

/* The replica stands still: who has written reads from the primary, anybody else what the replica knows. */
static void test_a_replica_that_is_behind(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    postgres_t *postgres =
        rig_client_with(loop, (postgres_options_t){.url = url, .read_url = read_url});
    ask_t ask;
    RIG_UNTIL(loop, postgres_lag(postgres).known);
    read_count(loop, postgres, &ask, 0);
    int known = atoi(ask.cell[0]);
    rig_run(loop, postgres, &ask, "insert into driver_read values (1)");
    assert_int_equal(ask.err, 0);
    rig_run(loop, postgres, &ask, POSTGRES_LSN_SQL);
    uint64_t lsn = strtoull(ask.cell[0], NULL, 10);
    for (int i = 0; i < 3; i++) {
        read_count(loop, postgres, &ask, lsn);
        assert_int_equal(ask.err, 0);
        assert_int_equal(atoi(ask.cell[0]), known + 1);
        read_count(loop, postgres, &ask, 1);
        assert_int_equal(atoi(ask.cell[0]), known);
    }
    RIG_UNTIL(loop, postgres_lag(postgres).bytes > 0 && postgres_lag(postgres).ms > 0);
    loop_delete(loop);
}

static int run_replica(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_replica_that_is_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What also holds behind a pooler in transaction mode. */
static int run_pooled(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_query),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_a_batch_has_one_fate),
        cmocka_unit_test(test_a_changed_table),
        cmocka_unit_test(test_a_deadline),
        cmocka_unit_test(test_a_transaction),
        cmocka_unit_test(test_a_slow_query),
        cmocka_unit_test(test_a_slow_query_is_stopped),
        cmocka_unit_test(test_rows_as_they_come),
        cmocka_unit_test(test_a_large_result),
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int run_direct(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_query),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_a_batch_has_one_fate),
        cmocka_unit_test(test_a_changed_table),
        cmocka_unit_test(test_more_statements_than_are_kept),
        cmocka_unit_test(test_more_statements_while_it_is_busy),
        cmocka_unit_test(test_a_deadline),
        cmocka_unit_test(test_cancels_in_a_race),
        cmocka_unit_test(test_a_transaction),
        cmocka_unit_test(test_left_dirty),
        cmocka_unit_test(test_a_slow_query),
        cmocka_unit_test(test_a_slow_query_is_stopped),
        cmocka_unit_test(test_rows_as_they_come),
        cmocka_unit_test(test_rows_nobody_takes),
        cmocka_unit_test(test_a_large_result),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_copy_the_other_way),
        cmocka_unit_test(test_copy_that_fails),
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_ended_sessions),
        cmocka_unit_test(test_refused_by_name),
        cmocka_unit_test(test_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
    url = getenv("PERIGEE_TEST_POSTGRES_URL");
    listen_url = getenv("PERIGEE_TEST_POSTGRES_LISTEN_URL");
    read_url = getenv("PERIGEE_TEST_POSTGRES_READ_URL");
    if (!url || !url[0]) {
        puts("PERIGEE_TEST_POSTGRES_URL names no server");
        return 0;
    }
    if (read_url) return run_replica();
    return listen_url ? run_pooled() : run_direct();
}
