/* test_postgres_lua.c: the bridge where no server answers: failures by name, waits that are cut, and what is left
   open. */
#include "bindings/silent_place.h"
#include "postgres/postgres_lua.h"

static void open_engine(bench_t *bench, int port) {
    char url[100], why[200] = "";
    snprintf(url, sizeof url, "postgres://user:hidden@127.0.0.1:%d/base?sslmode=disable", port);
    postgres_options_t options = {.url = url, .connect_ms = LONG_MS, .query_ms = LONG_MS};
    postgres_t *postgres = postgres_new(bench->loop, &options, why, sizeof why);
    assert_non_null(postgres);
    assert_int_equal(postgres_lua_open(bench->vm, postgres), 0);
}

static int open_silent(void **state) {
    return place_open(state, true, open_engine);
}

static int open_refused(void **state) {
    return place_open(state, false, open_engine);
}

static void a_refused_server_is_unavailable(void **state) {
    place_expect(state,
        "local pg, names = require 'postgres.native', {}\n"
        "for i, call in ipairs {\n"
        "  { pg.query, nil, 'select 1' }, { pg.one, nil, 'select 1' }, { pg.exec, nil, 'select 1' "
        "},\n"
        "  { pg.batch, nil, { { 'select 1' } } }, { pg.query, { slow = true }, 'select 1' }, { "
        "pg.lease },\n"
        "} do\n"
        "  local _, text, name = call[1](unpack(call, 2, call.n or 3))\n"
        "  assert(#text > 0 and not text:find 'hidden', text)\n"
        "  names[i] = name\n"
        "end\n"
        "return table.concat(names, ' ')",
        "unavailable unavailable unavailable unavailable unavailable unavailable");
}

static void wrong_arguments_are_raised(void **state) {
    place_expect(state,
        "local pg, count = require 'postgres.native', 0\n"
        "for _, call in ipairs {\n"
        "  { pg.query }, { pg.query, nil }, { pg.query, 'select 1' }, { pg.query, nil, 1 },\n"
        "  { pg.query, nil, 'select $1', print }, { pg.query, { tenant = '' }, 'select 1' },\n"
        "  { pg.query, { tenant = 1.5, timeout_ms = 'x' }, 'select 1' }, { pg.query, { timeout_ms "
        "= -1 }, 's' },\n"
        "  { pg.query, { min_lsn = 'x' }, 's' }, { pg.batch, nil }, { pg.batch, nil, {} },\n"
        "  { pg.batch, nil, { 'select 1' } }, { pg.batch, nil, { {} } }, { pg.listen }, { "
        "pg.listen, '' },\n"
        "  { pg.listen, ('x'):rep(64) }, { pg.listen, 'c', 1 }, { pg.array }, { pg.json }, { "
        "pg.bytes, 1 },\n"
        "} do assert(not pcall(unpack(call, 1, 4)), _) count = count + 1 end\n"
        "return count",
        "20");
}

static void what_needs_a_connection_is_refused(void **state) {
    place_expect(state,
        "local pg, names = require 'postgres.native', {}\n"
        "for i, sql in ipairs { 'begin', 'set x = 1', 'listen c', 'copy t from stdin' } do\n"
        "  names[i] = select(3, pg.exec(nil, sql)) end\n"
        "return table.concat(names, ' ')",
        "invalid invalid invalid invalid");
}

/* Whatever the script waits for, cancelling the task ends it, and the driver lets go. */
static void a_wait_can_be_cancelled(void **state) {
    static const char *const SCRIPTS[] = {"pg.query(nil, 'select 1')",
        "pg.query({ slow = true, tenant = 't' }, 'select $1', { a = 1 })",
        "pg.batch({ tenant = 't' }, { { 'select 1' }, { 'select $1', 'x' } })", "pg.lease()",
        "pg.listen('c')()", "pg.listen('c', { missed = true }):next(3600000)"};
    place_t *place = *state;
    for (size_t i = 0; i < sizeof SCRIPTS / sizeof *SCRIPTS; i++) {
        char script[200];
        run_t run;
        snprintf(script, sizeof script, "local pg = require 'postgres.native'\n%s", SCRIPTS[i]);
        bench_start(place->bench, &run, script, 0);
        assert_non_null(run.task);
        loop_turn(place->bench->loop, 0);
        task_cancel(run.task);
        assert_int_equal(run.end, TASK_CANCELLED);
        loop_turn(place->bench->loop, 0);
    }
}

/* The deadline of the task cuts the wait, and the script may still say so. */
static void a_wait_ends_with_its_task(void **state) {
    static const char *const SCRIPTS[] = {"pg.query(nil, 'select 1')", "pg.lease()"};
    place_t *place = *state;
    for (size_t i = 0; i < sizeof SCRIPTS / sizeof *SCRIPTS; i++) {
        char script[200];
        run_t run;
        snprintf(script, sizeof script,
            "local pg = require 'postgres.native'\nlocal _, _, name = %s\nreturn name", SCRIPTS[i]);
        bench_start(place->bench, &run, script, 20);
        bench_wait(place->bench, &run);
        assert_int_equal(run.end, TASK_OK);
        assert_string_equal(run.text, "timeout");
    }
}

static void a_query_has_a_deadline_of_its_own(void **state) {
    place_expect(state,
        "local pg = require 'postgres.native'\n"
        "return (select(3, pg.query({ timeout_ms = 20 }, 'select 1')))",
        "timeout");
}

/* The VM goes while they are open: place_close finds nothing left behind. */
static void what_is_left_open_goes_with_the_vm(void **state) {
    place_expect(state,
        "local pg = require 'postgres.native'\n"
        "a, b = pg.listen('c'), pg.listen('d', { missed = true })\n"
        "return type(a)",
        "userdata");
}

static void numbers_for_metrics(void **state) {
    place_expect(state,
        "local pg = require 'postgres.native'\n"
        "local counts = pg.counts()\n"
        "return json.encode { counts.queries, counts.leased, counts.up, #pg.waited(), "
        "tostring(pg.lag()) }",
        "[0,0,false,0,\"nil\"]");
}

int main(void) {
#define REFUSED(name) cmocka_unit_test_setup_teardown(name, open_refused, place_close)
#define SILENT(name) cmocka_unit_test_setup_teardown(name, open_silent, place_close)
    const struct CMUnitTest tests[] = {
        REFUSED(a_refused_server_is_unavailable),
        REFUSED(wrong_arguments_are_raised),
        REFUSED(what_needs_a_connection_is_refused),
        SILENT(a_wait_can_be_cancelled),
        SILENT(a_wait_ends_with_its_task),
        SILENT(a_query_has_a_deadline_of_its_own),
        SILENT(what_is_left_open_goes_with_the_vm),
        SILENT(numbers_for_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
