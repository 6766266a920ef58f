/* test_json.c: JSON to Lua and back: exact numbers, marks, order, limits, and refusals that name the place. */
#include "lua/bench.h"
#include "lua/json.h"
#include "lua/json_encode.h"

static void expect_round(bench_t *bench, const char *in, const char *out) {
    char script[512];
    snprintf(script, sizeof script, "return json.encode((assert(json.decode([==[%s]==]))))", in);
    bench_expect(bench, script, out);
}

static void test_rounds_keep_everything(void **state) {
    bench_t *bench = *state;
    expect_round(bench, "[]", "[]");
    expect_round(bench, "{}", "{}");
    expect_round(bench, "{\"a\":{},\"b\":[]}", "{\"a\":{},\"b\":[]}");
    expect_round(bench, "[1,[2,[3]],null,true,false,\"x\"]", "[1,[2,[3]],null,true,false,\"x\"]");
    expect_round(bench, "[null,null]", "[null,null]");
    expect_round(bench, "null", "null");
    expect_round(bench, " \"text\" ", "\"text\"");
    expect_round(bench, "{\"b\":1,\"a\":2,\"B\":3,\"\":4,\"aa\":5}",
        "{\"\":4,\"B\":3,\"a\":2,\"aa\":5,\"b\":1}");
    expect_round(bench, "{\"a\":1,\"a\":2}", "{\"a\":2}");
    expect_round(bench, "{\"1\":\"one\"}", "{\"1\":\"one\"}");
}

static void test_numbers_are_exact(void **state) {
    bench_t *bench = *state;
    expect_round(bench, "[29.99,29.990,1e2,1E-7,0.1,-0.5]", "[29.99,29.990,1e2,1E-7,0.1,-0.5]");
    expect_round(
        bench, "[9007199254740992,-9007199254740992]", "[9007199254740992,-9007199254740992]");
    expect_round(bench, "[9007199254740993,123456789012345678901234567890]",
        "[9007199254740993,123456789012345678901234567890]");
    expect_round(bench, "[0,-0,1]", "[0,0,1]");
    bench_expect(bench, "return type(json.decode('5'))", "number");
    bench_expect(bench, "return tostring(decimal.is(json.decode('5.0')))", "true");
    bench_expect(bench, "return tostring(json.decode('{\"price\": 29.99}').price)", "29.99");
    bench_expect(bench, "return json.encode({0.1, 1/3, 1e300, 2^53, -2^53, 1e15, 123456.789})",
        "[0.1,0.3333333333333333,1e+300,9007199254740992,-9007199254740992,1000000000000000,123456."
        "789]");
}

static void test_texts(void **state) {
    bench_t *bench = *state;
    expect_round(bench, "\"\\u00e9\\u20ac\\ud83d\\ude00\"", "\"é€😀\"");
    expect_round(
        bench, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\"");
    expect_round(bench, "\"a\\u0000b\"", "\"a\\u0000b\"");
    bench_expect(bench, "return #json.decode('\"a\\\\u0000b\"')", "3");
    bench_expect(bench, "return json.encode(('é'):rep(3) .. '\"')", "\"ééé\\\"\"");
}

static void test_marks(void **state) {
    bench_t *bench = *state;
    bench_expect(bench, "return json.encode({})", "[]");
    bench_expect(
        bench, "return json.encode(json.object({})) .. json.encode(json.object())", "{}{}");
    bench_expect(bench, "return json.encode(json.array({})) .. json.encode(json.array())", "[][]");
    bench_expect(bench, "local t = json.decode('{\"a\":1}') t.a = nil return json.encode(t)", "{}");
    bench_expect(bench, "local t = json.decode('[1]') t[1] = nil return json.encode(t)", "[]");
    bench_expect(bench, "return json.encode({a = json.null})", "{\"a\":null}");
    bench_expect(bench,
        "local t = {} for _, v in ipairs{json.array(), json.object(), {}, {1}, {a = 1}, 'x'} do\n"
        "t[#t + 1] = json.is_array(v) and 'y' or 'n' end return table.concat(t)",
        "ynyynn");
}

static void test_lists_built_in_any_order(void **state) {
    bench_t *bench = *state;
    bench_expect(bench, "local t = {} for i = 5, 1, -1 do t[i] = i end return json.encode(t)",
        "[1,2,3,4,5]");
    bench_expect(bench, "local t = {1, 2, 3} t[2] = nil t[2] = 'b' return json.encode({t})",
        "[[1,\"b\",3]]");
    bench_expect(
        bench, "local t = {} for i = 1, 2000 do t[i] = i end return #json.encode(t)", "8894");
}

static void test_many_members_are_sorted(void **state) {
    bench_expect(*state,
        "local t, names = {}, {} for i = 1, 500 do local n = 'k' .. (i * 7919) % 1000 t[n] = {n} "
        "end\n"
        "local text, last = json.encode(t), ''\n"
        "for n, v in text:gmatch('\"(k%d+)\":%[\"(k%d+)\"%]') do assert(n == v and last < n) last "
        "= n names[#names + 1] = n end\n"
        "return #names",
        "500");
}

static void expect_refusal(bench_t *bench, const char *value, const char *text) {
    char script[512];
    snprintf(script, sizeof script,
        "local ok, e = pcall(json.encode, %s) return tostring(ok) .. ' ' .. e", value);
    run_t run;
    bench_run(bench, &run, script);
    if (strstr(run.text, text) == NULL) print_error("%s: %s\n", value, run.text);
    assert_ptr_equal(strstr(run.text, "false "), run.text);
    assert_non_null(strstr(run.text, text));
}

static void test_encode_refuses_and_names_the_place(void **state) {
    bench_t *bench = *state;
    expect_refusal(bench, "print", "a function is not JSON");
    expect_refusal(
        bench, "{items = {1, {price = print}}}", "a function is not JSON at .items[2].price");
    expect_refusal(bench, "{a = 0/0}", "a number is not finite at .a");
    expect_refusal(bench, "{math.huge}", "a number is not finite at [1]");
    expect_refusal(bench, "{name = 'a\\255b'}", "a text is not valid UTF-8 at .name");
    expect_refusal(bench, "{['\\192\\128'] = 1}", "a text is not valid UTF-8");
    expect_refusal(bench, "'\\237\\160\\128'", "a text is not valid UTF-8");
    expect_refusal(bench, "{[1] = 1, [3] = 3}", "keys");
    expect_refusal(bench, "{1, 2, nil, 4, x = 5}", "a list has a hole");
    expect_refusal(bench, "{1, x = 2}", "a table");
    expect_refusal(bench, "{[0] = 1}", "keys");
    expect_refusal(bench, "{[1.5] = 1}", "keys");
    expect_refusal(bench, "{[true] = 1}", "a table mixes");
    expect_refusal(bench, "json.array({a = 1})", "a list has a key that is not a number");
    expect_refusal(bench, "json.object({1})", "an object has a number as a key");
    expect_refusal(bench, "(function() local t = {} t.a = {t} return t end)()",
        "a table contains itself at .a[1]");
    expect_refusal(bench, "io.stdout", "a userdata is not JSON");
    expect_refusal(bench, "('x'):rep(17 * 1024 * 1024)", "16 MB");
    expect_refusal(
        bench, "(function() local t = {} for i = 1, 30 do t = {t, t} end return t end)()", "16 MB");
    bench_expect(
        bench, "local t = {1} return json.encode({t, t})", "[[1],[1]]"); /* shared is no cycle */
    bench_expect(bench, "return json.encode({1, 'fine'})", "[1,\"fine\"]");
}

static void test_metamethods_do_not_run(void **state) {
    bench_expect(*state,
        "local t = setmetatable({a = 1}, {__index = error, __len = error, __pairs = error, "
        "__tostring = error})\n"
        "return json.encode(t)",
        "{\"a\":1}");
}

static void test_depth_is_the_same_on_both_sides(void **state) {
    bench_t *bench = *state;
    bench_expect(bench,
        "local s = ('['):rep(128) .. (']'):rep(128) return tostring(json.encode(json.decode(s)) == "
        "s)",
        "true");
    bench_expect(bench,
        "local v, text, name = json.decode(('['):rep(129) .. (']'):rep(129)) return text .. ' ' .. "
        "name",
        "more than 128 levels bad_json");
    bench_expect(bench,
        "local t = {} for i = 1, 127 do t = {t} end assert(json.encode(t))\n"
        "return tostring(pcall(json.encode, {t}))",
        "false");
    bench_expect(bench, "return select(3, json.decode(('[{\"a\":'):rep(200000)))", "bad_json");
}

static void test_decode_refuses_with_a_place(void **state) {
    bench_t *bench = *state;
    const char *const bad[] = {"", " ", "{", "[1,]", "{\"a\":1,}", "nul", "01", "1.", "'a'",
        "\"\\ud800\"", "[1] x", "NaN", "// c", "\"\x01\"", "\"\xff\"", "{a:1}", "1e99999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        lua_pushstring(bench->vm->L, bad[i]);
        lua_setglobal(bench->vm->L, "bad");
        bench_expect(bench, "local v, text, name = json.decode(bad) return tostring(v) .. name",
            "nilbad_json");
    }
    bench_expect(
        bench, "return (select(2, json.decode('[1,x]')):match('at byte %d+'))", "at byte 4");
    bench_expect(bench, "return select(3, json.decode((' '):rep(17 * 1024 * 1024)))", "too_large");
}

static void test_survives_any_failed_allocation(void **state) {
    bench_t *bench = *state;
    lua_State *L = bench->vm->L;
    const char text[] = "{\"list\":[1,2.5,\"three\",{\"n\":null}],\"more\":{\"deep\":[[[]]]}}";
    int err = ERR_NO_MEMORY;
    for (int64_t n = 0; err != 0; n++) {
        char why[100];
        int top = lua_gettop(L);
        bench->vm->fail_after = n;
        err = json_decode(L, span_of(text), why, sizeof why);
        bench->vm->fail_after = -1;
        if (err != 0) assert_int_equal(err, ERR_NO_MEMORY);
        assert_int_equal(lua_gettop(L), top + (err == 0));
    }
    lua_pop(L, 1);
}

static void test_encode_appends_or_leaves_the_buffer(void **state) {
    bench_t *bench = *state;
    lua_State *L = bench->vm->L;
    char why[100];
    buf_t out;
    buf_create(&out);
    buf_text(&out, "before ");
    lua_newtable(L);
    lua_pushcfunction(L, luaopen_json);
    lua_setfield(L, -2, "f");
    assert_int_equal(json_encode(L, -1, &out, why, sizeof why), ERR_INVALID);
    assert_string_equal(why, "a function is not JSON at .f");
    lua_pushinteger(L, 5);
    lua_setfield(L, -2, "f");
    assert_int_equal(json_encode(L, -1, &out, why, sizeof why), 0);
    assert_int_equal(out.len, strlen("before {\"f\":5}"));
    assert_memory_equal(out.ptr, "before {\"f\":5}", out.len);
    lua_pop(L, 1);
    buf_destroy(&out);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)
int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_rounds_keep_everything),
        CASE(test_numbers_are_exact),
        CASE(test_texts),
        CASE(test_marks),
        CASE(test_lists_built_in_any_order),
        CASE(test_many_members_are_sorted),
        CASE(test_encode_refuses_and_names_the_place),
        CASE(test_metamethods_do_not_run),
        CASE(test_depth_is_the_same_on_both_sides),
        CASE(test_decode_refuses_with_a_place),
        CASE(test_survives_any_failed_allocation),
        CASE(test_encode_appends_or_leaves_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
