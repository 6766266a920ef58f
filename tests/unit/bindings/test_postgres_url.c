/* test_postgres_url.c: URLs taken apart, and faults that repeat no password; what a statement's first word says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/err.h"
#include "postgres/fault.h"
#include "postgres/url.h"
#include "postgres/verb.h"

static const char *parameter(const postgres_url_t *url, const char *keyword) {
    for (int i = 0; i < url->parameters; i++)
        if (strcmp(url->keywords[i], keyword) == 0) return url->values[i];
    return NULL;
}

static void parse(postgres_url_t *url, const char *text) {
    char why[200];
    assert_int_equal(postgres_url_parse(span_of(text), url, why, sizeof why), 0);
}

static void test_one_host(void **state) {
    (void)state;
    postgres_url_t url;
    parse(&url, "postgresql://shop:p%40ss@db.example:5433/"
                "shop?sslmode=verify-full&prepare=off&connect_timeout=9");
    assert_int_equal(url.count, 1);
    assert_string_equal(url.hosts[0].name, "db.example");
    assert_string_equal(url.hosts[0].port, "5433");
    assert_string_equal(url.session, "any");
    assert_false(url.prepare);
    assert_false(postgres_url_writes(&url));
    assert_string_equal(parameter(&url, "password"), "p@ss");
    assert_string_equal(parameter(&url, "sslmode"), "verify-full");
    assert_string_equal(parameter(&url, "gssencmode"), "disable");
    assert_null(parameter(&url, "host"));
    assert_null(parameter(&url, "connect_timeout"));
    postgres_url_wipe(&url);
}

static void test_several_hosts(void **state) {
    (void)state;
    postgres_url_t url;
    parse(&url, "postgres://a,[::1]:7,c:8/shop?application_name=x");
    assert_int_equal(url.count, 3);
    assert_string_equal(url.hosts[1].name, "::1");
    assert_string_equal(url.hosts[1].port, "7");
    assert_string_equal(url.hosts[2].name, "c");
    assert_true(postgres_url_writes(&url));
    assert_true(url.prepare);
    postgres_url_wipe(&url);
    parse(&url, "postgres:///shop?host=/run/a,/run/b&port=7&target_session_attrs=any");
    assert_int_equal(url.count, 2);
    assert_string_equal(url.hosts[1].name, "/run/b");
    assert_string_equal(url.hosts[1].port, "7");
    assert_string_equal(url.session, "any");
    postgres_url_wipe(&url);
    parse(&url, "postgres:///shop?hostaddr=127.0.0.1,127.0.0.2");
    assert_string_equal(url.hosts[1].address, "127.0.0.2");
    postgres_url_wipe(&url);
}

static void test_the_environment_says_nothing(void **state) {
    (void)state;
    postgres_url_t url;
    setenv("PGHOST", "a,b", true);
    setenv("PGPORT", "7", true);
    parse(&url, "postgres:///shop");
    assert_int_equal(url.count, 1);
    assert_string_equal(url.hosts[0].name, "");
    assert_string_equal(url.hosts[0].port, "");
    postgres_url_wipe(&url);
    unsetenv("PGHOST");
    unsetenv("PGPORT");
}

static void test_faults(void **state) {
    (void)state;
    static const char *const BAD[] = {"redis://u:secret@h", "postgres://u:secret@h:99x:1/db",
        "postgres://u:secret@[h/db", "postgres://u:secret@h/db?prepare=maybe",
        "postgres://u:secret@h/db?nonsense=1", "postgres://u:secret%zz@h/db",
        "postgres://u:secret@a,b/db?hostaddr=127.0.0.1", "postgres://u:secret@/db?service=s", ""};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        postgres_url_t url;
        char why[200];
        assert_int_equal(postgres_url_parse(span_of(BAD[i]), &url, why, sizeof why), ERR_INVALID);
        assert_non_null(strstr(why, "PostgreSQL URL"));
        assert_null(strstr(why, "secret"));
    }
}

static void test_first_words(void **state) {
    (void)state;
    assert_int_equal(postgres_verb_nature("select 1"), POSTGRES_PLAIN);
    assert_int_equal(postgres_verb_nature("BEGIN;"), POSTGRES_BEGIN);
    assert_int_equal(
        postgres_verb_nature("/* a /* b */ */ -- c\n start transaction"), POSTGRES_BEGIN);
    assert_int_equal(postgres_verb_nature("-- old Mac\rbegin"), POSTGRES_BEGIN);
    assert_int_equal(postgres_verb_nature("commit"), POSTGRES_TRANSACTION);
    assert_int_equal(postgres_verb_nature("set local x = 1"), POSTGRES_TRANSACTION);
    assert_int_equal(postgres_verb_nature("set x = 1"), POSTGRES_SESSION);
    assert_int_equal(postgres_verb_nature("create temp table x ()"), POSTGRES_SESSION);
    assert_int_equal(
        postgres_verb_nature("create or replace temp view x as select 1"), POSTGRES_SESSION);
    assert_int_equal(postgres_verb_nature("create local temporary table x ()"), POSTGRES_SESSION);
    assert_int_equal(postgres_verb_nature("create or replace view x as select 1"), POSTGRES_PLAIN);
    assert_int_equal(postgres_verb_nature("create table x ()"), POSTGRES_PLAIN);
    assert_int_equal(postgres_verb_nature("Copy x from stdin"), POSTGRES_DRIVERS);
    assert_int_equal(postgres_verb_nature("selection"), POSTGRES_PLAIN);
    assert_int_equal(postgres_verb_nature("/* not ended"), POSTGRES_PLAIN);
    assert_int_equal(postgres_verb_nature(""), POSTGRES_PLAIN);
    assert_true(postgres_verb_prepares("(select 1)"));
    assert_true(postgres_verb_prepares("with x as (select 1) insert into y select * from x"));
    assert_false(postgres_verb_prepares("create table x ()"));
}

/* Functions whose effect outlives their statement; what only looks like a call of one is none. */
static void test_what_is_left_behind(void **state) {
    (void)state;
    static const char *const LEFT[] = {"select pg_advisory_lock(1)",
        "SELECT x, PG_CATALOG.PG_TRY_ADVISORY_LOCK_SHARED /* ( */ (1, 2) from t",
        "select \"pg_advisory_lock\"(1)", "with a as (select pg_advisory_lock($1)) select 1",
        "select set_config('a.b', 'x', false)", "select set_config('a.b', $1, $2)",
        "select set_config('a.b', coalesce($1, 'true'), false)",
        "select set_config('a', 'b', true and false)", "select E'it\\'s', pg_advisory_lock(1)",
        "select $$'$$, pg_advisory_lock(1)", "select '''', pg_advisory_lock(1)",
        "select $1, pg_advisory_lock($1)"};
    static const char *const NOTHING[] = {"select pg_advisory_xact_lock(1)",
        "select pg_advisory_unlock(1)", "select set_config('a.b', 'x, false)', TRUE)",
        "select set_config('a', coalesce(b, 'c'), /* so */ true ) from t",
        "select 'pg_advisory_lock(1)'", "select $a$ pg_advisory_lock(1) $a$",
        "select 1 -- pg_advisory_lock(1)", "select E'\\'pg_advisory_lock(1)'",
        "select pg_advisory_lock from t", "select my_pg_advisory_lock(1)", "select 'set_config(",
        "select my_set_config(1, 2, false)",
        "select proname from pg_proc where proname = 'set_config'"};
    for (size_t i = 0; i < sizeof LEFT / sizeof *LEFT; i++)
        if (postgres_verb_nature(LEFT[i]) != POSTGRES_SESSION) fail_msg("%s", LEFT[i]);
    for (size_t i = 0; i < sizeof NOTHING / sizeof *NOTHING; i++)
        if (postgres_verb_nature(NOTHING[i]) != POSTGRES_PLAIN) fail_msg("%s", NOTHING[i]);
}

static void test_errors(void **state) {
    (void)state;
    assert_int_equal(postgres_fault_err("23505"), ERR_CONFLICT);
    assert_int_equal(postgres_fault_err("40001"), ERR_CONFLICT);
    assert_int_equal(postgres_fault_err("40P01"), ERR_CONFLICT);
    assert_int_equal(postgres_fault_err("23503"), ERR_INVALID);
    assert_int_equal(postgres_fault_err("22P02"), ERR_INVALID);
    assert_int_equal(postgres_fault_err("42P01"), ERR_INVALID);
    assert_int_equal(postgres_fault_err("42501"), ERR_DENIED);
    assert_int_equal(postgres_fault_err("53100"), ERR_UNAVAILABLE);
    assert_int_equal(postgres_fault_err("57P01"), ERR_UNAVAILABLE);
    assert_int_equal(postgres_fault_err("57014"), ERR_TIMEOUT);
    assert_int_equal(postgres_fault_err("XX000"), ERR_INTERNAL);
    assert_int_equal(postgres_fault_err(""), ERR_INTERNAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_host),
        cmocka_unit_test(test_several_hosts),
        cmocka_unit_test(test_the_environment_says_nothing),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_first_words),
        cmocka_unit_test(test_what_is_left_behind),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
