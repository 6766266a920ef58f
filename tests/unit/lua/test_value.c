/* test_value.c: plain data packed from one stack, pushed on another, read from JSON and written to it. */
#include "lua/bench.h"
#include "lua/json.h"
#include "lua/value.h"

static const value_limits_t LIMITS = {.depth = 16, .nodes = 1000, .bytes = 10000};

/* Packs what the script leaves in the global `v`. */
static int pack(bench_t *bench, const char *script, arena_t *arena, value_t *out, char why[160]) {
    bench_expect(bench, script, "ok");
    lua_getglobal(bench->vm->L, "v");
    int err = value_pack(bench->vm->L, -1, arena, &LIMITS, out, why, 160);
    lua_pop(bench->vm->L, 1);
    return err;
}

static void expect_packed(bench_t *bench, const char *script, const char *json) {
    arena_t arena;
    value_t value;
    char why[160] = "";
    buf_t buf;
    arena_create(&arena);
    buf_create(&buf);
    assert_int_equal(pack(bench, script, &arena, &value, why), 0);
    value_json(&buf, &value);
    assert_int_equal(buf.len, strlen(json));
    assert_memory_equal(buf.ptr, json, buf.len);
    buf_destroy(&buf);
    arena_destroy(&arena);
}

static void expect_refused(bench_t *bench, const char *script, const char *text) {
    arena_t arena;
    value_t value;
    char why[160] = "";
    int top = lua_gettop(bench->vm->L);
    arena_create(&arena);
    assert_int_equal(pack(bench, script, &arena, &value, why), ERR_BAD_RESULT);
    if (strstr(why, text) == NULL) print_error("%s: %s\n", script, why);
    assert_non_null(strstr(why, text));
    assert_int_equal(lua_gettop(bench->vm->L), top);
    arena_destroy(&arena);
}

static void test_packs_plain_data(void **state) {
    bench_t *bench = *state;
    expect_packed(bench, "v = {b = 1, a = {1, 2.5, 'x', true}} return 'ok'",
        "{\"a\":[1,2.5,\"x\",true],\"b\":1}");
    expect_packed(bench, "v = {} return 'ok'", "[]");
    expect_packed(bench, "v = json.object() return 'ok'", "{}");
    expect_packed(bench, "v = {a = json.null, d = decimal.new('29.990')} return 'ok'",
        "{\"a\":null,\"d\":\"29.990\"}");
    expect_packed(bench, "v = nil return 'ok'", "null");
    expect_packed(bench, "v = 2^53 return 'ok'", "9007199254740992");
    expect_packed(
        bench, "v = setmetatable({1}, {__index = error, __len = error}) return 'ok'", "[1]");
    expect_packed(bench, "v = {} for i = 3, 1, -1 do v[i] = i end return 'ok'", "[1,2,3]");
}

static void test_refuses_what_is_not_plain(void **state) {
    bench_t *bench = *state;
    expect_refused(bench, "v = {a = {print}} return 'ok'", "a function is not plain data at .a[1]");
    expect_refused(bench, "v = {x = 0/0} return 'ok'", "a number is not finite at .x");
    expect_refused(bench, "v = {-math.huge} return 'ok'", "a number is not finite at [1]");
    expect_refused(bench, "v = {} v.v = v return 'ok'", "a table contains itself at .v");
    expect_refused(bench, "v = {[1] = 1, [3] = 1} return 'ok'", "a key is neither");
    expect_refused(bench, "v = {1, 2, nil, 4, x = 5} return 'ok'", "");
    expect_refused(bench, "v = {1, a = 2} return 'ok'", "a key is neither");
    expect_refused(bench, "v = {[true] = 2} return 'ok'", "a key is neither");
    expect_refused(bench, "v = {} for i = 1, 20 do v = {v} end return 'ok'", "nest too deep");
    expect_refused(bench, "v = {} for i = 1, 2000 do v[i] = i end return 'ok'", "too many parts");
    expect_refused(bench, "v = {('x'):rep(20000)} return 'ok'", "too long");
    expect_refused(bench, "v = {} for i = 1, 12 do v = {v, v} end return 'ok'", "too many parts");
}

static int push_one(lua_State *L, void *data) {
    value_push(L, data);
    return 1;
}

static void test_pushes_what_was_packed(void **state) {
    bench_t *bench = *state;
    arena_t arena;
    value_t value;
    char why[160];
    arena_create(&arena);
    span_t json = SPAN("{\"a\":[],\"b\":{},\"c\":[1,-2.5,\"x\",false,{\"n\":7}]}");
    assert_int_equal(value_parse(json, &arena, &LIMITS, false, &value, why, sizeof why), 0);
    assert_int_equal(vm_call(bench->vm->L, push_one, &value), 0);
    lua_setglobal(bench->vm->L, "v");
    bench_expect(
        bench, "return json.encode(v)", "{\"a\":[],\"b\":{},\"c\":[1,-2.5,\"x\",false,{\"n\":7}]}");
    arena_destroy(&arena);
}

static void test_parse_keeps_exact_numbers(void **state) {
    (void)state;
    arena_t arena;
    value_t value;
    char why[160];
    arena_create(&arena);
    span_t json = SPAN("{\"whole\":9223372036854775807,\"price\":29.990,\"big\":"
                       "9223372036854775808,\"none\":null}");
    assert_int_equal(value_parse(json, &arena, &LIMITS, true, &value, why, sizeof why), 0);
    assert_int_equal(value_field(&value, "whole")->integer, INT64_MAX);
    assert_true(span_eq(value_field(&value, "price")->string, SPAN("29.990")));
    assert_int_equal(value_field(&value, "big")->kind, VALUE_STRING);
    assert_int_equal(value_field(&value, "none")->kind, VALUE_NIL);
    assert_null(value_field(&value, "absent"));
    assert_null(value_field(value_field(&value, "price"), "x"));
    assert_null(value_field(NULL, "x"));
    assert_int_equal(value_parse(json, &arena, &LIMITS, false, &value, why, sizeof why), 0);
    assert_true(value_field(&value, "price")->number == 29.99);
    arena_destroy(&arena);
}

static void test_fields_are_found_among_many(void **state) {
    (void)state;
    arena_t arena;
    value_t value;
    char why[160];
    arena_create(&arena);
    span_t json = SPAN("{\"m\":1,\"a\":2,\"zz\":3,\"z\":4,\"\":5,\"ab\":6,\"a\":7}");
    assert_int_equal(value_parse(json, &arena, &LIMITS, true, &value, why, sizeof why), 0);
    assert_int_equal(value.table.count, 6);
    const char *const names[] = {"m", "a", "zz", "z", "", "ab"};
    const int64_t values[] = {1, 7, 3, 4, 5, 6};
    for (int i = 0; i < 6; i++)
        assert_int_equal(value_field(&value, names[i])->integer, values[i]);
    arena_destroy(&arena);
}

static void test_parse_refuses(void **state) {
    (void)state;
    const char *const bad[] = {
        "", "{", "[1e999]", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "{\"a\":1} 2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        arena_t arena;
        value_t value;
        char why[160] = "";
        arena_create(&arena);
        assert_int_equal(
            value_parse(span_of(bad[i]), &arena, &LIMITS, false, &value, why, sizeof why),
            ERR_BAD_JSON);
        assert_true(why[0] != '\0');
        arena_destroy(&arena);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)
int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_packs_plain_data),
        CASE(test_refuses_what_is_not_plain),
        CASE(test_pushes_what_was_packed),
        cmocka_unit_test(test_parse_keeps_exact_numbers),
        cmocka_unit_test(test_fields_are_found_among_many),
        cmocka_unit_test(test_parse_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
