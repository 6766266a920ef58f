/* test_postgres_client.c: deadlines, late answers, cancels that miss, cut answers, several hosts; on fake servers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "postgres_fake.h"

/* Long enough that a machine that stalls meanwhile does not make the connection be given up, at twice of it. */
#define LATE_MS 2500

typedef struct scene {
    loop_t *loop;
    fake_t fake;
    postgres_t *postgres;
} scene_t;

static void open_scene(scene_t *scene, postgres_options_t options) {
    scene->loop = loop_new();
    fake_start(&scene->fake, scene->loop);
    options.url = scene->fake.url;
    if (!options.shared) options.shared = 1;
    scene->postgres = rig_client_with(scene->loop, options);
}

static void submit_for(scene_t *scene, ask_t *ask, const char *sql, uint64_t ms) {
    rig_prepare(ask, sql, NULL, NULL);
    ask->query.deadline_ms = loop_now(scene->loop) + ms;
    assert_int_equal(postgres_submit(scene->postgres, &ask->query), 0);
}

static void test_prepared_once(void **state) {
    (void)state;
    scene_t scene;
    ask_t ask;
    open_scene(&scene, (postgres_options_t){0});
    for (int i = 0; i < 5; i++) {
        rig_prepare(&ask, "select $1", "x", NULL);
        ask.query.tenant = SPAN("shop");
        assert_int_equal(postgres_submit(scene.postgres, &ask.query), 0);
        RIG_UNTIL(scene.loop, ask.done);
        assert_string_equal(ask.cell[0], "x");
    }
    assert_int_equal(scene.fake.named, 2); /* the fence and the query */
    assert_int_equal(scene.fake.parsed, 2);
    loop_delete(scene.loop);
}

/* All that one turn asks for is there before the first answer, and one that fails does not fail its neighbours. */
static void test_one_turn_is_one_piece(void **state) {
    (void)state;
    enum { MANY = 20, BAD = 7 };
    static ask_t asks[MANY];
    static char lines[MANY][32];
    scene_t scene;
    open_scene(&scene, (postgres_options_t){0});
    rig_run(scene.loop, scene.postgres, &asks[0], "select 'first'");
    int reads = scene.fake.reads;
    for (int i = 0; i < MANY; i++) {
        snprintf(lines[i], sizeof lines[i], i == BAD ? "fail 23505" : "select %d", i);
        rig_submit(scene.postgres, &asks[i], lines[i]);
    }
    for (int i = 0; i < MANY; i++) {
        RIG_UNTIL(scene.loop, asks[i].done);
        assert_int_equal(asks[i].err, i == BAD ? ERR_CONFLICT : 0);
        if (i != BAD) assert_string_equal(asks[i].cell[0], lines[i]);
    }
    assert_int_equal(scene.fake.reads, reads + 1);
    assert_int_equal(scene.fake.started, 1);
    loop_delete(scene.loop);
}

static void test_nothing_prepared(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    char url[200];
    ask_t ask;
    fake_start(&fake, loop);
    snprintf(url, sizeof url, "%s&prepare=off&application_name=x", fake.url);
    postgres_t *postgres = rig_client(loop, url);
    for (int i = 0; i < 3; i++)
        rig_run(loop, postgres, &ask, "select 1");
    assert_int_equal(fake.named, 0);
    assert_int_equal(fake.parsed, 3);
    loop_delete(loop);
}

/* The head is late and its answer comes late: nothing new is sent before it, and each gets its own answer. */
static void test_late_answers(void **state) {
    (void)state;
    scene_t scene;
    ask_t late, late_too, behind[3], after;
    open_scene(&scene, (postgres_options_t){0});
    rig_run(scene.loop, scene.postgres, &after, "select 'first'");
    submit_for(&scene, &late, "hold", LATE_MS);
    rig_submit(scene.postgres, &behind[0], "select 0");
    submit_for(&scene, &late_too, "select 'late'", LATE_MS);
    rig_submit(scene.postgres, &behind[1], "select 1");
    RIG_UNTIL(scene.loop, late.done && late_too.done);
    assert_int_equal(late.err, ERR_TIMEOUT);
    assert_int_equal(late_too.err, ERR_TIMEOUT);
    RIG_UNTIL(scene.loop, scene.fake.cancels == 1);
    int executed = scene.fake.executed;
    rig_submit(scene.postgres, &after, "select 'after'");
    rig_settle(scene.loop);
    assert_int_equal(scene.fake.executed, executed);
    assert_int_equal(after.done + behind[0].done + behind[1].done, 0);
    fake_go(fake_conn(&scene.fake, 0)); /* the server did not heed the cancel */
    RIG_UNTIL(scene.loop, after.done);
    assert_string_equal(behind[0].cell[0], "select 0");
    assert_string_equal(behind[1].cell[0], "select 1");
    assert_string_equal(after.cell[0], "select 'after'");
    assert_int_equal(scene.fake.accepted, 2); /* one of them the cancel */
    loop_delete(scene.loop);
}

/* The cancel comes when its query has just ended: the next one is stopped, and sent again. */
static void test_a_stray_cancel(void **state) {
    (void)state;
    scene_t scene;
    ask_t late, hit, next;
    open_scene(&scene, (postgres_options_t){0});
    rig_run(scene.loop, scene.postgres, &next, "select 'first'");
    scene.fake.miss = true;
    submit_for(&scene, &late, "hold", LATE_MS);
    rig_submit(scene.postgres, &hit, "select 'hit'");
    rig_submit(scene.postgres, &next, "select 'next'");
    RIG_UNTIL(scene.loop, late.done && hit.done && next.done);
    assert_int_equal(late.err, ERR_TIMEOUT);
    assert_int_equal(hit.err, 0);
    assert_int_equal(hit.done, 1);
    assert_string_equal(hit.cell[0], "select 'hit'");
    assert_string_equal(next.cell[0], "select 'next'");
    assert_int_equal(scene.fake.started, 1);
    loop_delete(scene.loop);
}

static void test_the_servers_own_limit(void **state) {
    (void)state;
    scene_t scene;
    ask_t ask;
    open_scene(&scene, (postgres_options_t){0});
    rig_run(scene.loop, scene.postgres, &ask, "fail 57014");
    assert_int_equal(ask.err, ERR_TIMEOUT);
    assert_int_equal(scene.fake.executed, 1);
    loop_delete(scene.loop);
}

/* Neither answer nor cancel does anything: the connection is given up, another takes its place. */
static void test_a_silent_server(void **state) {
    (void)state;
    scene_t scene;
    ask_t late, behind, again, after;
    open_scene(&scene, (postgres_options_t){0});
    scene.fake.deaf = true;
    rig_run(scene.loop, scene.postgres, &after, "select 'first'");
    submit_for(&scene, &late, "hold", 100);
    rig_submit(scene.postgres, &behind, "select 'behind'");
    rig_prepare(&again, "select 'again'", NULL, NULL);
    again.query.repeatable = true;
    assert_int_equal(postgres_submit(scene.postgres, &again.query), 0);
    RIG_UNTIL(scene.loop, late.done);
    rig_submit(scene.postgres, &after, "select 'after'");
    RIG_UNTIL(scene.loop, behind.done && again.done && after.done);
    assert_int_equal(behind.err, ERR_CLOSED);
    assert_int_equal(after.err, 0);
    assert_string_equal(again.cell[0], "select 'again'");
    assert_string_equal(after.cell[0], "select 'after'");
    assert_int_equal(postgres_counts(scene.postgres).losses, 1);
    loop_delete(scene.loop); /* does not wait for the cancel's thread */
}

/* The connection ends after each number of bytes of an answer: it is whole, or nobody takes it for one. */
static void test_cut_answers(void **state) {
    (void)state;
    int length = 1000;
    for (int cut = 0; cut <= length; cut++) {
        scene_t scene;
        ask_t once, again;
        open_scene(&scene, (postgres_options_t){0});
        RIG_UNTIL(scene.loop, postgres_up(scene.postgres));
        scene.fake.cut = cut;
        bool repeatable = cut % 2;
        rig_prepare(&once, "select 'once'", NULL, NULL);
        once.query.repeatable = repeatable;
        assert_int_equal(postgres_submit(scene.postgres, &once.query), 0);
        rig_prepare(&again, "select 'again'", NULL, NULL);
        again.query.repeatable = true;
        RIG_UNTIL(scene.loop, once.done);
        assert_int_equal(postgres_submit(scene.postgres, &again.query), 0);
        RIG_UNTIL(scene.loop, again.done);
        assert_int_equal(again.err, 0);
        assert_string_equal(again.cell[0], "select 'again'");
        bool whole = once.err == 0 && !repeatable;
        if (whole && length == 1000) length = cut + 4;
        assert_true(once.err == 0 || (once.err == ERR_CLOSED && !repeatable));
        if (once.err == 0) assert_string_equal(once.cell[0], "select 'once'");
        loop_delete(scene.loop);
    }
    assert_true(length < 1000);
}

/* An error's answer that is cut: it was undone for certain once the error is there. */
static void test_cut_errors(void **state) {
    (void)state;
    bool told = false, unknown = false;
    for (int cut = 0; cut < 150; cut++) {
        scene_t scene;
        ask_t ask;
        open_scene(&scene, (postgres_options_t){0});
        RIG_UNTIL(scene.loop, postgres_up(scene.postgres));
        scene.fake.cut = cut;
        rig_run(scene.loop, scene.postgres, &ask, "fail 23505");
        assert_true(ask.err == ERR_CLOSED || ask.err == ERR_CONFLICT);
        told |= ask.err == ERR_CONFLICT;
        unknown |= ask.err == ERR_CLOSED;
        assert_false(told && ask.err == ERR_CLOSED);
        loop_delete(scene.loop);
    }
    assert_true(told && unknown);
}

static void test_not_replicated(void **state) {
    (void)state;
    scene_t scene;
    ask_t ask;
    open_scene(&scene, (postgres_options_t){0});
    scene.fake.notice = true;
    rig_run(scene.loop, scene.postgres, &ask, "insert 1");
    assert_int_equal(ask.err, ERR_CLOSED);
    scene.fake.notice = false;
    rig_run(scene.loop, scene.postgres, &ask, "insert 2");
    assert_int_equal(ask.err, 0);
    loop_delete(scene.loop);
}

static void test_nobody_there(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    ask_t ask;
    fake_start(&fake, loop);
    fake.fatal = "53300";
    postgres_t *postgres = rig_client(loop, fake.url);
    rig_run(loop, postgres, &ask, "select 1");
    assert_int_equal(ask.err, ERR_UNAVAILABLE);
    assert_false(ask.sent);
    rig_run(loop, postgres, &ask, "select 1"); /* at once */
    assert_int_equal(ask.err, ERR_UNAVAILABLE);
    hold_t hold;
    rig_want(postgres, &hold, "shop");
    RIG_UNTIL(loop, hold.got);
    assert_int_equal(hold.lease.err, ERR_UNAVAILABLE);
    lease_end(&hold.lease, false);
    fake.fatal = NULL; /* it has come back */
    RIG_UNTIL(loop, postgres_up(postgres));
    rig_run(loop, postgres, &ask, "select 1");
    assert_int_equal(ask.err, 0);
    loop_delete(loop);
}

static void test_not_connected_in_time(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    ask_t ask;
    fake_start(&fake, loop);
    fake.silent = true;
    postgres_t *postgres =
        rig_client_with(loop, (postgres_options_t){.url = fake.url, .connect_ms = 100});
    rig_run(loop, postgres, &ask, "select 1");
    assert_int_equal(ask.err, ERR_UNAVAILABLE);
    assert_non_null(strstr(ask.detail, "did not answer in time"));
    loop_delete(loop);
}

static void test_refused(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    ask_t ask;
    fake_start(&fake, loop);
    uv_close((uv_handle_t *)&fake.listener, NULL);
    fake.listening = false;
    postgres_t *postgres = rig_client(loop, fake.url);
    rig_run(loop, postgres, &ask, "select 1");
    assert_int_equal(ask.err, ERR_UNAVAILABLE);
    loop_delete(loop);
}

typedef struct pair {
    loop_t *loop;
    fake_t a, b;
    char url[200];
} pair_t;

static void open_pair(pair_t *pair, const char *more) {
    pair->loop = loop_new();
    fake_start(&pair->a, pair->loop);
    fake_start(&pair->b, pair->loop);
    snprintf(pair->url, sizeof pair->url,
        "postgres://shop@127.0.0.1:%d,127.0.0.1:%d/shop?sslmode=disable%s", pair->a.port,
        pair->b.port, more);
}

/* Silent, a standby, refusing: the other one is the one. */
static void test_several_hosts(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        pair_t pair;
        ask_t ask;
        open_pair(&pair, i == 3 ? "&target_session_attrs=prefer-standby" : "");
        pair.a.silent = i == 0;
        pair.a.standby = i == 1;
        pair.a.fatal = i == 2 ? "57P03" : NULL;
        pair.b.standby = i == 3;
        postgres_t *postgres = rig_client_with(
            pair.loop, (postgres_options_t){.url = pair.url, .shared = 1, .connect_ms = 1000});
        RIG_UNTIL(pair.loop, postgres_up(postgres));
        rig_run(pair.loop, postgres, &ask, "select 1");
        assert_int_equal(ask.err, 0);
        assert_int_equal(pair.a.executed, 0);
        assert_int_equal(pair.b.executed, 1);
        loop_delete(pair.loop);
    }
}

/* The primary turns into a standby while it is connected: the other one gets the query. */
static void test_failover(void **state) {
    (void)state;
    pair_t pair;
    ask_t ask;
    open_pair(&pair, "");
    pair.b.standby = true;
    postgres_t *postgres =
        rig_client_with(pair.loop, (postgres_options_t){.url = pair.url, .shared = 1});
    rig_run(pair.loop, postgres, &ask, "insert 1");
    assert_int_equal(pair.a.executed, 1);
    pair.a.standby = pair.a.read_only = true;
    pair.b.standby = false;
    rig_run(pair.loop, postgres, &ask, "insert 2");
    assert_int_equal(ask.err, 0);
    assert_int_equal(pair.a.executed, 2);
    assert_int_equal(pair.b.executed, 1);
    loop_delete(pair.loop);
}

static void test_a_replica(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t main, replica;
    ask_t ask;
    fake_start(&main, loop);
    fake_start(&replica, loop);
    postgres_t *postgres = rig_client_with(
        loop, (postgres_options_t){.url = main.url, .read_url = replica.url, .shared = 1});
    RIG_UNTIL(loop, main.started && replica.started && postgres_lag(postgres).known);
    rig_prepare(&ask, "select 'read'", NULL, NULL);
    ask.query.replica = true;
    assert_int_equal(postgres_submit(postgres, &ask.query), 0);
    RIG_UNTIL(loop, ask.done);
    assert_string_equal(ask.cell[0], "select 'read'");
    assert_string_not_equal(main.last, "select 'read'");
    rig_run(loop, postgres, &ask, "select 'write'");
    assert_string_not_equal(replica.last, "select 'write'");
    replica.read_only = false;
    rig_prepare(&ask, "fail 40001", NULL, NULL); /* a conflict with what is replayed */
    ask.query.replica = true;
    assert_int_equal(postgres_submit(postgres, &ask.query), 0);
    RIG_UNTIL(loop, ask.done);
    assert_int_equal(ask.err, ERR_CONFLICT); /* the primary's word */
    fake_stop(&replica);                     /* reads go to the primary then */
    rig_prepare(&ask, "select 'still'", NULL, NULL);
    ask.query.replica = true;
    assert_int_equal(postgres_submit(postgres, &ask.query), 0);
    RIG_UNTIL(loop, ask.done);
    assert_string_equal(ask.cell[0], "select 'still'");
    loop_delete(loop);
}

static void test_cancelled_by_the_caller(void **state) {
    (void)state;
    scene_t scene;
    ask_t held, behind;
    hold_t hold;
    open_scene(&scene, (postgres_options_t){0});
    scene.fake.obey = true;
    rig_run(scene.loop, scene.postgres, &behind, "select 1");
    rig_submit(scene.postgres, &held, "hold");
    RIG_UNTIL(scene.loop, fake_conn(&scene.fake, 0)->holding);
    postgres_cancel(&held.query);
    assert_int_equal(held.done, 0);
    RIG_UNTIL(scene.loop, held.done);
    assert_int_equal(held.err, ERR_CANCELLED);
    assert_true(held.sent);
    assert_int_equal(scene.fake.cancels, 0); /* on a shared one its time still runs */
    fake_go(fake_conn(&scene.fake, 0));
    rig_run(scene.loop, scene.postgres, &behind, "select 'behind'");
    assert_string_equal(behind.cell[0], "select 'behind'");
    rig_get(scene.loop, scene.postgres, &hold); /* on one of one's own the server is told at once */
    rig_prepare(&held, "hold", NULL, NULL);
    assert_int_equal(postgres_lease_submit(&hold.lease, &held.query), 0);
    RIG_UNTIL(scene.loop, strcmp(scene.fake.last, "hold") == 0);
    rig_settle(scene.loop);
    postgres_cancel(&held.query);
    RIG_UNTIL(scene.loop, scene.fake.cancels == 1 && held.done);
    lease_end(&hold.lease, false);
    rig_get(scene.loop, scene.postgres, &hold);
    rig_do(scene.loop, &hold, &behind, "select 'good'");
    assert_string_equal(behind.cell[0], "select 'good'");
    lease_end(&hold.lease, true);
    loop_delete(scene.loop);
}

static void test_a_bound(void **state) {
    (void)state;
    scene_t scene;
    ask_t asks[4], more;
    open_scene(&scene, (postgres_options_t){.bound = 4});
    for (int i = 0; i < 4; i++)
        rig_submit(scene.postgres, &asks[i], "select 1");
    rig_prepare(&more, "select 1", NULL, NULL);
    assert_int_equal(postgres_submit(scene.postgres, &more.query), ERR_BUSY);
    RIG_UNTIL(scene.loop, asks[3].done);
    rig_run(scene.loop, scene.postgres, &more, "select 1");
    assert_int_equal(more.err, 0);
    loop_delete(scene.loop);
}

static void test_fair_shares(void **state) {
    (void)state;
    scene_t scene;
    hold_t greedy[4], modest, late;
    open_scene(&scene, (postgres_options_t){.pool_max = 3});
    for (int i = 0; i < 4; i++)
        rig_want(scene.postgres, &greedy[i], "greedy");
    rig_want(scene.postgres, &modest, "modest");
    RIG_UNTIL(scene.loop, greedy[0].got && greedy[1].got && modest.got);
    assert_int_equal(greedy[2].got, 0);
    memset(&late, 0, sizeof late);
    late.lease = (lease_t){.tenant = SPAN("late"),
        .deadline_ms = loop_now(scene.loop) + 50,
        .got = rig_got,
        .data = &late};
    assert_int_equal(postgres_lease(scene.postgres, &late.lease), 0);
    RIG_UNTIL(scene.loop, late.got);
    assert_int_equal(late.lease.err, ERR_TIMEOUT);
    assert_int_equal(postgres_counts(scene.postgres).waiting, 2);
    lease_end(&greedy[0].lease, true);
    RIG_UNTIL(scene.loop, greedy[2].got);
    lease_end(&greedy[3].lease, true); /* gives up waiting */
    lease_end(&greedy[1].lease, true);
    lease_end(&greedy[2].lease, true);
    lease_end(&modest.lease, true);
    assert_int_equal(postgres_counts(scene.postgres).idle, 3);
    assert_int_equal(postgres_counts(scene.postgres).leased, 0);
    loop_delete(scene.loop);
}

/* A lease's connection goes: its holder hears of it by its query, and the next one gets another. */
static void test_a_lost_lease(void **state) {
    (void)state;
    scene_t scene;
    hold_t hold;
    ask_t ask;
    open_scene(&scene, (postgres_options_t){.pool_max = 1});
    rig_get(scene.loop, scene.postgres, &hold);
    rig_prepare(&ask, "hold", NULL, NULL);
    ask.query.repeatable = true; /* but not on a lease */
    assert_int_equal(postgres_lease_submit(&hold.lease, &ask.query), 0);
    RIG_UNTIL(scene.loop, strcmp(scene.fake.last, "hold") == 0);
    while (!list_empty(&scene.fake.conns))
        fake_close(LIST_OWNER(scene.fake.conns.next, fake_conn_t, node));
    RIG_UNTIL(scene.loop, ask.done);
    assert_int_equal(ask.err, ERR_CLOSED);
    assert_int_equal(postgres_lease_state(&hold.lease), PQTRANS_UNKNOWN);
    rig_prepare(&ask, "select 1", NULL, NULL);
    assert_int_equal(postgres_lease_submit(&hold.lease, &ask.query), ERR_CLOSED);
    lease_end(&hold.lease, false);
    rig_get(scene.loop, scene.postgres, &hold);
    rig_do(scene.loop, &hold, &ask, "select 1");
    assert_int_equal(ask.err, 0);
    lease_end(&hold.lease, true);
    loop_delete(scene.loop);
}

/* What was set for other programs decides nothing here: the URL does. */
static void test_the_environment_is_not_asked(void **state) {
    (void)state;
    static const char *const VARIABLES[][2] = {{"PGSERVICE", "nobody"},
        {"PGSERVICEFILE", "/nonexistent"}, {"PGHOST", "nobody.invalid"}, {"PGHOSTADDR", "::2"},
        {"PGPORT", "1"}, {"PGUSER", "root"}, {"PGDATABASE", "other"}, {"PGSSLMODE", "require"},
        {"PGREQUIRESSL", "1"}, {"PGOPTIONS", "-c search_path=other"}, {"PGAPPNAME", "other"},
        {"PGCHANNELBINDING", "require"}, {"PGTARGETSESSIONATTRS", "standby"}, {"PGGEQO", "off"},
        {"PGPASSFILE", "/nonexistent"}, {"PGDATESTYLE", "German"}, {"PGTZ", "Asia/Tokyo"}};
    loop_t *loop = loop_new();
    fake_t fake;
    ask_t ask;
    char url[64];
    fake_start(&fake, loop);
    for (size_t i = 0; i < sizeof VARIABLES / sizeof *VARIABLES; i++)
        setenv(VARIABLES[i][0], VARIABLES[i][1], true);
    snprintf(url, sizeof url, "postgres://shop@127.0.0.1:%d/", fake.port);
    postgres_t *postgres = rig_client(loop, url);
    rig_run(loop, postgres, &ask, "select 'here'");
    assert_string_equal(ask.cell[0], "select 'here'");
    assert_string_equal(fake.startup,
        "user shop database shop application_name perigee client_encoding UTF8 datestyle ISO "
        "timezone UTC ");
    for (size_t i = 0; i < sizeof VARIABLES / sizeof *VARIABLES; i++)
        unsetenv(VARIABLES[i][0]);
    loop_delete(loop);
}

/* An answer without an end is given up when it is too large, and its neighbours on the connection get theirs. */
static void test_a_flood(void **state) {
    (void)state;
    scene_t scene;
    ask_t flood, behind, after;
    open_scene(&scene, (postgres_options_t){.result_max = 256 * 1024});
    rig_run(scene.loop, scene.postgres, &after, "select 'first'");
    scene.fake.obey = true;
    rig_submit(scene.postgres, &flood, "flood");
    rig_submit(scene.postgres, &behind, "select 'behind'");
    RIG_UNTIL(scene.loop, flood.done);
    assert_int_equal(flood.err, ERR_TOO_LARGE);
    assert_string_equal(flood.detail,
        "the result takes more than 262144 bytes "
        "(postgres_result_max_bytes): read it as it comes, with pg.rows");
    RIG_UNTIL(scene.loop, behind.done);
    assert_string_equal(behind.cell[0], "select 'behind'");
    rig_run(scene.loop, scene.postgres, &after, "select 'after'");
    assert_string_equal(after.cell[0], "select 'after'");
    assert_int_equal(scene.fake.started, 1);
    loop_delete(scene.loop);
}

/* The server goes on all the same: the connection is given up. */
static void test_a_flood_that_does_not_end(void **state) {
    (void)state;
    scene_t scene;
    ask_t flood, again;
    open_scene(&scene, (postgres_options_t){.result_max = 256 * 1024});
    rig_run(scene.loop, scene.postgres, &again, "select 'first'");
    rig_submit(scene.postgres, &flood, "flood");
    rig_prepare(&again, "select 'again'", NULL, NULL);
    again.query.repeatable = true;
    assert_int_equal(postgres_submit(scene.postgres, &again.query), 0);
    RIG_UNTIL(scene.loop, flood.done && again.done);
    assert_int_equal(flood.err, ERR_TOO_LARGE);
    assert_string_equal(again.cell[0], "select 'again'");
    assert_int_equal(scene.fake.started, 2);
    loop_delete(scene.loop);
}

/* All results of a query count together. */
static void test_a_large_result(void **state) {
    (void)state;
    scene_t scene;
    ask_t ask;
    open_scene(&scene, (postgres_options_t){.result_max = 256 * 1024});
    rig_run(scene.loop, scene.postgres, &ask, "rows 100");
    assert_int_equal(ask.err, 0);
    assert_int_equal(ask.rows[0], 100);
    rig_run(scene.loop, scene.postgres, &ask, "rows 300");
    assert_int_equal(ask.err, ERR_TOO_LARGE);
    rig_prepare(&ask, "rows 100", NULL, NULL);
    rig_add(&ask, "rows 100", NULL, NULL);
    assert_int_equal(postgres_submit(scene.postgres, &ask.query), 0);
    RIG_UNTIL(scene.loop, ask.done);
    assert_int_equal(ask.err, ERR_TOO_LARGE);
    assert_int_equal(ask.failed, 1);
    rig_run(scene.loop, scene.postgres, &ask, "rows 1");
    assert_int_equal(ask.rows[0], 1);
    assert_int_equal(scene.fake.started, 1);
    loop_delete(scene.loop);
}

typedef struct ear {
    postgres_subscription_t subscription;
    int heard, missed;
} ear_t;

static void on_notified(postgres_subscription_t *subscription, span_t payload) {
    assert_int_equal(payload.len, 1000);
    ((ear_t *)subscription->data)->heard++;
}

static void on_missed(postgres_subscription_t *subscription) {
    ((ear_t *)subscription->data)->missed++;
}

static void listen_to(scene_t *scene, ear_t *ear, const char *channel) {
    *ear = (ear_t){.subscription = {.channel = span_of(channel),
                       .notified = on_notified,
                       .missed = on_missed,
                       .data = ear}};
    assert_int_equal(postgres_subscribe(scene->postgres, &ear->subscription), 0);
}

/* However many notifications come before an answer, they are no part of it. */
static void test_many_notifications(void **state) {
    (void)state;
    enum { MANY = 3000 };
    scene_t scene;
    ask_t ask;
    ear_t first, second;
    open_scene(&scene, (postgres_options_t){.result_max = 256 * 1024});
    rig_run(scene.loop, scene.postgres, &ask, "select 'first'");
    listen_to(&scene, &first, "first");
    RIG_UNTIL(scene.loop, first.subscription.live);
    fake_conn_t *conn = LIST_OWNER(scene.fake.conns.prev, fake_conn_t, node);
    fake_notify(conn, "first", MANY);
    listen_to(&scene, &second, "second");
    RIG_UNTIL(scene.loop, second.missed);
    assert_true(second.subscription.live);
    assert_int_equal(first.heard, MANY);
    assert_int_equal(first.missed, 1);
    assert_int_equal(scene.fake.cancels, 0);
    loop_delete(scene.loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prepared_once),
        cmocka_unit_test(test_one_turn_is_one_piece),
        cmocka_unit_test(test_nothing_prepared),
        cmocka_unit_test(test_late_answers),
        cmocka_unit_test(test_a_stray_cancel),
        cmocka_unit_test(test_the_servers_own_limit),
        cmocka_unit_test(test_a_silent_server),
        cmocka_unit_test(test_cut_answers),
        cmocka_unit_test(test_cut_errors),
        cmocka_unit_test(test_not_replicated),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_not_connected_in_time),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_several_hosts),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_a_replica),
        cmocka_unit_test(test_cancelled_by_the_caller),
        cmocka_unit_test(test_a_bound),
        cmocka_unit_test(test_the_environment_is_not_asked),
        cmocka_unit_test(test_a_flood),
        cmocka_unit_test(test_a_flood_that_does_not_end),
        cmocka_unit_test(test_a_large_result),
        cmocka_unit_test(test_many_notifications),
        cmocka_unit_test(test_fair_shares),
        cmocka_unit_test(test_a_lost_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
