/* test_postgres_value.c: what a server writes is the right Lua value, and goes back as the text the server reads. */
#include "lua/bench.h"
#include "postgres/cell.h"
#include "postgres/mark.h"
#include "postgres/oids.h"
#include "postgres/rows.h"
#include "postgres/statements.h"

#define INT4_ARRAY 1007
#define TEXT_ARRAY 1009
#define BYTEA_ARRAY 1001
#define NUMERIC_ARRAY 1231
#define JSONB_ARRAY 3807
#define TIMESTAMPTZ_ARRAY 1185

static int open_marked(lua_State *L) {
    mark_open(L);
    lua_register(L, "array", mark_l_array);
    lua_register(L, "asjson", mark_l_json);
    lua_register(L, "bytes", mark_l_bytes);
    return 0;
}

static int open_values(void **state) {
    bench_open(state);
    return vm_protect(((bench_t *)*state)->vm, open_marked, NULL, NULL, 0);
}

/* From the server */

typedef struct cell {
    Oid type;
    span_t text;
} cell_case_t;

static int push_cell(lua_State *L) {
    const cell_case_t *cell = lua_touserdata(L, 1);
    cell_push(L, cell->type, cell->text);
    lua_setglobal(L, "v");
    return 0;
}

/* The text of the type is `v`; the expression must hold. */
static void reads(void **state, Oid type, const char *text, const char *expression) {
    char script[600], error[300] = "";
    run_t run;
    cell_case_t cell = {type, span_of(text)};
    bench_t *bench = *state;
    if (vm_protect(bench->vm, push_cell, &cell, error, sizeof error))
        fail_msg("%s: %s", text, error);
    snprintf(script, sizeof script, "return (%s) and 'holds' or tostring(v)", expression);
    bench_run(bench, &run, script);
    if (strcmp(run.text, "holds")) fail_msg("%s is read as %s: %s", text, run.text, expression);
}

static void refuses(void **state, Oid type, const char *text) {
    cell_case_t cell = {type, span_of(text)};
    if (!vm_protect(((bench_t *)*state)->vm, push_cell, &cell, NULL, 0)) fail_msg("%s", text);
}

static void numbers_are_exact(void **state) {
    reads(state, OID_INT4, "-2147483648", "v == -2147483648");
    reads(state, OID_INT8, "9007199254740992", "v == 9007199254740992");
    reads(state, OID_INT8, "-9223372036854775808",
        "decimal.is(v) and tostring(v) == '-9223372036854775808'");
    reads(state, OID_NUMERIC, "0.10", "decimal.is(v) and tostring(v) == '0.10'");
    reads(state, OID_NUMERIC, "-12345678901234567890.123456789",
        "tostring(v) == '-12345678901234567890.123456789'");
    reads(state, OID_NUMERIC, "NaN", "v == 'NaN'");
    reads(state, OID_FLOAT8, "0.1", "v == 0.1");
    reads(state, OID_FLOAT8, "1e+300", "v == 1e300");
    reads(state, OID_FLOAT8, "-Infinity", "v == -math.huge");
    reads(state, OID_FLOAT8, "NaN", "v ~= v");
    reads(state, OID_BOOL, "t", "v == true");
    reads(state, OID_BOOL, "f", "v == false");
}

static void times_have_the_form_of_rfc_3339(void **state) {
    reads(state, OID_TIMESTAMPTZ, "2024-11-21 10:00:00.123456+00",
        "v == '2024-11-21T10:00:00.123456Z'");
    reads(state, OID_TIMESTAMPTZ, "2024-11-21 10:00:00+02", "v == '2024-11-21T10:00:00+02:00'");
    reads(state, OID_TIMESTAMPTZ, "2024-11-21 10:00:00-03:30", "v == '2024-11-21T10:00:00-03:30'");
    reads(state, OID_TIMESTAMPTZ, "12024-11-21 10:00:00+00", "v == '12024-11-21T10:00:00Z'");
    reads(state, OID_TIMESTAMPTZ, "infinity", "v == 'infinity'");
    reads(state, OID_TIMESTAMPTZ, "0044-03-15 10:00:00+00 BC", "v == '0044-03-15 10:00:00+00 BC'");
    reads(state, OID_TIMESTAMP, "2024-11-21 10:00:00.5", "v == '2024-11-21T10:00:00.5'");
    reads(state, OID_TIMESTAMP, "", "v == ''");
    reads(state, OID_DATE, "2024-11-21", "v == '2024-11-21'");
}

static void bytes_and_json(void **state) {
    reads(state, OID_BYTEA, "\\x00ff41", "v == '\\0\\255A'");
    reads(state, OID_BYTEA, "\\x", "v == ''");
    reads(state, OID_BYTEA, "a\\\\b\\000\\377", "v == 'a\\\\b\\0\\255'");
    reads(state, OID_JSONB, "{\"a\": [1, 2.50, null]}",
        "v.a[1] == 1 and tostring(v.a[2]) == '2.50' and v.a[3] == json.null");
    reads(state, OID_JSON, "null", "v == json.null");
    reads(state, OID_JSONB, "[]", "json.encode(v) == '[]'");
    reads(state, OID_JSONB, "{}", "json.encode(v) == '{}'");
    refuses(state, OID_JSON, "{");
}

static void arrays_are_lists(void **state) {
    reads(state, INT4_ARRAY, "{1,NULL,-3}",
        "#v == 3 and v[1] == 1 and v[2] == json.null and v[3] == -3");
    reads(state, INT4_ARRAY, "{}", "#v == 0 and json.encode(v) == '[]'");
    reads(state, INT4_ARRAY, "{{1,2},{3,4}}", "v[1][2] == 2 and v[2][1] == 3 and #v == 2");
    reads(state, INT4_ARRAY, "[0:1]={7,8}", "v[1] == 7 and v[2] == 8");
    reads(state, TEXT_ARRAY, "{a,\"b,c\",\"\",\"NULL\",\"q\\\"\\\\\",\" {} \"}",
        "v[1] == 'a' and v[2] == 'b,c' and v[3] == '' and v[4] == 'NULL' and v[5] == 'q\"\\\\' and "
        "v[6] == ' {} '");
    reads(state, BYTEA_ARRAY, "{\"\\\\x00ff\",NULL}", "v[1] == '\\0\\255' and v[2] == json.null");
    reads(state, NUMERIC_ARRAY, "{1.10,9007199254740993}",
        "tostring(v[1]) == '1.10' and tostring(v[2]) == '9007199254740993'");
    reads(state, JSONB_ARRAY, "{\"{\\\"a\\\": \\\"b\\\"}\",1}", "v[1].a == 'b' and v[2] == 1");
    reads(
        state, TIMESTAMPTZ_ARRAY, "{\"2024-11-21 10:00:00+00\"}", "v[1] == '2024-11-21T10:00:00Z'");
}

static void what_is_no_array_is_refused(void **state) {
    static const char *const TEXTS[] = {"", "{", "}", "{1", "{1,", "{1,}", "{,1}", "{\"a}",
        "{\"a\\", "1", "{1}x", "{1 2}{", "[1:2]", "[1:2]{1}", "{{{{{{{1}}}}}}}"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        refuses(state, INT4_ARRAY, TEXTS[i]);
}

/* Rows */

static PGresult *two_rows(void) {
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[] = {
        {.name = "id", .typid = OID_INT8}, {.name = "note", .typid = OID_TEXT}};
    assert_true(PQsetResultAttrs(result, 2, columns));
    PQsetvalue(result, 0, 0, "1", 1);
    PQsetvalue(result, 0, 1, "first", 5);
    PQsetvalue(result, 1, 0, "2", 1);
    PQsetvalue(result, 1, 1, NULL, -1);
    return result;
}

static int push_all_ways(lua_State *L) {
    PGresult *result = lua_touserdata(L, 1);
    rows_t rows;
    rows_create(&rows);
    rows_push(L, result);
    assert_int_equal(lua_gettop(L), 2);
    lua_setglobal(L, "all");
    rows_push_first(L, result);
    assert_int_equal(lua_gettop(L), 2);
    lua_setglobal(L, "one");
    assert_int_equal(rows_add(&rows, result), 0);
    assert_int_equal(rows_add(&rows, result), 0);
    rows_push_added(L, &rows);
    lua_setglobal(L, "added");
    rows_clear(&rows);
    assert_int_equal(rows_add(&rows, result), 0);
    rows_push_added(L, &rows);
    lua_setglobal(L, "more");
    rows_destroy(&rows);
    return 0;
}

static void rows_are_tables_by_name(void **state) {
    bench_t *bench = *state;
    PGresult *result = two_rows();
    assert_int_equal(vm_protect(bench->vm, push_all_ways, result, NULL, 0), 0);
    PQclear(result);
    bench_expect(bench, "return json.encode({ all, one, added, more })",
        "[[{\"id\":1,\"note\":\"first\"},{\"id\":2}],{\"id\":1,\"note\":\"first\"},"
        "[{\"id\":1,\"note\":\"first\"},{\"id\":2},{\"id\":1,\"note\":\"first\"},{\"id\":2}],"
        "[{\"id\":1,\"note\":\"first\"},{\"id\":2}]]");
}

/* To the server */

static statements_t statements;
static int added;

static int l_add(lua_State *L) {
    statements_create(&statements);
    bool list = lua_istable(L, 1);
    added = list ? statements_add_table(&statements, L, 1) : statements_add(&statements, L, 1);
    if (!added) added = statements_end(&statements);
    return 0;
}

static const postgres_statement_t *add(void **state, const char *arguments) {
    char script[400];
    run_t run;
    bench_t *bench = *state;
    lua_register(bench->vm->L, "add", l_add);
    snprintf(script, sizeof script, "add(%s)", arguments);
    bench_run(bench, &run, script);
    if (run.end != TASK_OK) fail_msg("%s", run.text);
    return added ? NULL : statements_all(&statements);
}

static void writes(void **state, const char *value, const char *text) {
    char arguments[300];
    snprintf(arguments, sizeof arguments, "'select $1', %s", value);
    const postgres_statement_t *statement = add(state, arguments);
    if (!statement) fail_msg("%s: %s", value, statements.fault.why);
    assert_string_equal(statement->sql, "select $1");
    assert_int_equal(statement->count, 1);
    if (text)
        assert_string_equal(statement->params[0].value, text);
    else
        assert_null(statement->params[0].value);
    statements_destroy(&statements);
}

static void values_are_written_as_the_server_reads_them(void **state) {
    writes(state, "'text'", "text");
    writes(state, "''", "");
    writes(state, "42", "42");
    writes(state, "-9007199254740992", "-9007199254740992");
    writes(state, "0.1", "0.1");
    writes(state, "1/0", "Infinity");
    writes(state, "0/0", "NaN");
    writes(state, "true", "true");
    writes(state, "json.null", NULL);
    writes(state, "decimal.new('12.50')", "12.50");
    writes(state, "{ a = 1, b = json.null }", "{\"a\":1,\"b\":null}");
    writes(state, "{ 'x', 2 }", "[\"x\",2]");
    writes(state, "asjson('text')", "\"text\"");
    writes(state, "asjson(json.null)", "null");
    writes(state, "array{}", "{}");
    writes(state, "array{ 1, json.null, true, decimal.new('2.50') }",
        "{\"1\",NULL,\"true\",\"2.50\"}");
    writes(state, "array{ 'a\"b', 'c\\\\d', '', 'NULL' }", "{\"a\\\"b\",\"c\\\\d\",\"\",\"NULL\"}");
    writes(state, "array{ { 1, 2 }, { 3, 4 } }", "{{\"1\",\"2\"},{\"3\",\"4\"}}");
    writes(state, "array{ asjson{ a = 'b' } }", "{\"{\\\"a\\\":\\\"b\\\"}\"}");
    writes(state, "array{ bytes('\\0\\255') }", "{\"\\\\x00ff\"}");
}

static void bytes_go_in_binary_form(void **state) {
    const postgres_statement_t *statement = add(state, "'select $1, $2', bytes('\\0a\\0'), 'b'");
    assert_int_equal(statement->count, 2);
    assert_int_equal(statement->params[0].format, 1);
    assert_int_equal(statement->params[0].length, 3);
    assert_memory_equal(statement->params[0].value, "\0a\0", 3);
    assert_string_equal(statement->params[1].value, "b");
    assert_int_equal(statement->params[1].format, 0);
    statements_destroy(&statements);
}

static void a_statement_may_be_a_table(void **state) {
    const postgres_statement_t *statement = add(state, "{ 'select $1, $2', json.null, 'b' }");
    assert_int_equal(statement->count, 2);
    assert_null(statement->params[0].value);
    assert_string_equal(statement->params[1].value, "b");
    statements_destroy(&statements);
}

static void mistakes(void **state, const char *arguments, const char *sentence) {
    if (add(state, arguments)) fail_msg("%s is taken", arguments);
    assert_int_equal(added, ERR_INVALID);
    if (!strstr(statements.fault.why, sentence))
        fail_msg("%s: %s", arguments, statements.fault.why);
    statements_destroy(&statements);
}

static void mistakes_are_named(void **state) {
    mistakes(state, "'s', 1, nil, 2", "parameter 2 is nil; NULL is pg.null");
    mistakes(state, "'s', nil", "parameter 1 is nil");
    mistakes(state, "{ 's', 1, nil, 2 }", "parameter 2 is nil");
    mistakes(state, "{ 's', 1, n = 3 }", "parameter 2 is nil");
    mistakes(state, "{ 's', name = 1 }", "other keys");
    mistakes(state, "{}", "SQL expected");
    mistakes(state, "'s', print", "parameter 1 is a function");
    mistakes(state, "'s', 'a\\0b'", "zero byte; pg.bytes");
    mistakes(state, "'s\\0', 1", "zero byte");
    mistakes(state, "1", "SQL expected");
    mistakes(state, "'s', { 1, print }", "not JSON");
    mistakes(state, "'s', array{ 1, print }", "an array with a function");
    mistakes(state, "'s', array{ array{ array{ array{ array{ array{ array{ 1 } } } } } } }",
        "6 dimensions");
}

/* What is read goes back as it came. */
static void arrays_go_back(void **state) {
    reads(state, TEXT_ARRAY, "{{a,NULL},{\"b c\",\"\\\\\"}}", "#v == 2");
    writes(state, "v", "{{\"a\",NULL},{\"b c\",\"\\\\\"}}");
    reads(state, INT4_ARRAY, "{}", "#v == 0");
    writes(state, "v", "{}");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_values, bench_close)
    const struct CMUnitTest tests[] = {
        CASE(numbers_are_exact),
        CASE(times_have_the_form_of_rfc_3339),
        CASE(bytes_and_json),
        CASE(arrays_are_lists),
        CASE(what_is_no_array_is_refused),
        CASE(rows_are_tables_by_name),
        CASE(values_are_written_as_the_server_reads_them),
        CASE(bytes_go_in_binary_form),
        CASE(a_statement_may_be_a_table),
        CASE(mistakes_are_named),
        CASE(arrays_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
