/* test_sandbox.c: loading, calling afresh, naming faults, and routes that wait, in a tenant's VM. */
#include "lua/tenant.h"

static tenant_t tenant;

static int open_tenant(void **state) {
    (void)state;
    sandbox_limits_t limits = tenant_limits();
    tenant_open(&tenant, &limits);
    return 0;
}

static int close_tenant(void **state) {
    (void)state;
    tenant_close(&tenant);
    return 0;
}

static void expect_load(const char *text, size_t len, int err, int line, const char *part) {
    int ref;
    int got = sandbox_load(tenant.sandbox, (span_t){text, len}, "rule.lua", &ref, &tenant.fault);
    assert_int_equal(got, err);
    if (!err) return;
    assert_int_equal(tenant.fault.err, err);
    assert_string_equal(tenant.fault.file, "rule.lua");
    assert_int_equal(tenant.fault.line, line);
    assert_non_null(strstr(tenant.fault.text, part));
}

static void loads_text_only(void **state) {
    (void)state;
    expect_load("return 1", 8, 0, 0, "");
    expect_load("", 0, 0, 0, "");
    expect_load("\xef\xbb\xbfreturn 1", 11, 0, 0, "");
    expect_load("\x1bLJ\x02", 4, ERR_FORBIDDEN, 0, "bytecode");
    expect_load("\xef\xbb\xbf\x1bLJ\x02", 7, ERR_FORBIDDEN, 0, "bytecode");
    expect_load("#!/usr/bin/lua\nreturn 1", 23, ERR_FORBIDDEN, 0, "'#'");
    expect_load("a = \n= 2", 8, ERR_SYNTAX, 2, "unexpected symbol near '='");
    expect_load("return 'open", 12, ERR_SYNTAX, 1, "unfinished string");
    expect_load("x = 1LL", 7, ERR_FORBIDDEN, 0, "LL, ULL or i");
    assert_true(sandbox_spent(tenant.sandbox));
}

static void a_long_file_is_refused(void **state) {
    (void)state;
    static char text[65537];
    memset(text, ' ', sizeof text);
    expect_load(text, 65536, 0, 0, "");
    expect_load(text, 65537, ERR_TOO_LARGE, 0, "64 KB");
}

/* The parser recurses in C. */
static void deep_nesting_is_refused(void **state) {
    (void)state;
    static const char *const openings[] = {"(", "{", "- ", "not ", "function() return ", "a[", "f(",
        "x ^ ", "x .. ", "do ", "if a then ", "while a do ", "repeat "};
    static char text[65536];
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
        size_t len = (size_t)snprintf(text, sizeof text, "%s", i < 9 ? "return " : "");
        size_t piece = strlen(openings[i]);
        for (; len + piece < 60000; len += piece)
            memcpy(text + len, openings[i], piece);
        int ref;
        assert_int_equal(
            sandbox_load(tenant.sandbox, (span_t){text, len}, "rule.lua", &ref, &tenant.fault),
            ERR_SYNTAX);
    }
}

static void long_chains_compile_or_are_refused(void **state) {
    (void)state;
    static const char *const links[] = {
        "a and ", "a or ", "a + ", "a == ", "a, ", "a.b.", "'x' .. "};
    static char text[65536];
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        size_t len = (size_t)snprintf(text, sizeof text, "local a = {} return "),
               piece = strlen(links[i]);
        for (; len + piece < 60000; len += piece)
            memcpy(text + len, links[i], piece);
        text[len++] = 'a';
        int ref;
        int err =
            sandbox_load(tenant.sandbox, (span_t){text, len}, "rule.lua", &ref, &tenant.fault);
        if (err != 0 && err != ERR_SYNTAX && err != ERR_BUDGET_MEMORY)
            fail_msg("%s: %s", links[i], err_name(err));
    }
}

static void expect_rule(const char *text, int err, int line, const char *part) {
    assert_int_equal(tenant_run(&tenant, text), err);
    assert_int_equal(tenant.fault.line, line);
    assert_string_equal(tenant.fault.file, "rule.lua");
    if (!strstr(tenant.fault.text, part)) fail_msg("%s", tenant.fault.text);
}

static void faults_name_file_line_and_reason(void **state) {
    (void)state;
    expect_rule("local x\nreturn function()\n return x.y end", ERR_RULE_ERROR, 3,
        "attempt to index upvalue 'x'");
    expect_rule("return 5", ERR_BAD_RESULT, 1, "a value of type number instead of a function");
    expect_rule("\nleak = 1", ERR_FORBIDDEN, 2, "globals are read-only: write 'local leak'");
    expect_rule("\n\nlocal t = os.time()", ERR_FORBIDDEN, 3, "rules do not have 'os'");
    expect_rule("local s = string.dump(type)", ERR_FORBIDDEN, 1, "rules do not have 'string.dump'");
    expect_rule("print(1)", ERR_FORBIDDEN, 1, "use log(...)");
    expect_rule("string.x = 1", ERR_FORBIDDEN, 1, "libraries are read-only");
    expect_rule("error('no such tier')", ERR_RULE_ERROR, 1, "no such tier");
    expect_rule("error({})", ERR_RULE_ERROR, 0, "a value of type table instead of a text");
    expect_rule("error()", ERR_RULE_ERROR, 0, "a value of type nil instead of a text");
}

static void error_texts_are_plain(void **state) {
    (void)state;
    assert_int_equal(tenant_run(&tenant, "error('a\\nb\\27[31m' .. ('\\195\\164'):rep(300), 0)"),
        ERR_RULE_ERROR);
    assert_memory_equal(tenant.fault.text, "a b [31m", 8);
    size_t len = strlen(tenant.fault.text);
    assert_true(len < sizeof tenant.fault.text);
    /* Cut between two characters. */
    assert_int_equal((unsigned char)tenant.fault.text[len - 1], 0xa4);
}

static void each_call_starts_afresh(void **state) {
    (void)state;
    int ref;
    const char *rule =
        "local n, t = 0, {} return function(cart) n = n + 1 t[n] = n cart.x = n return n + #t end";
    assert_int_equal(
        sandbox_load(tenant.sandbox, span_of(rule), "rule.lua", &ref, &tenant.fault), 0);
    for (int i = 0; i < 3; i++) {
        sandbox_begin(tenant.sandbox, 1);
        assert_int_equal(
            sandbox_call(tenant.sandbox, ref, tenant_push, tenant_take, &tenant, &tenant.fault), 0);
        sandbox_end(tenant.sandbox, NULL);
        assert_string_equal(tenant.answer, "2");
    }
}

static void nothing_passes_from_one_call_to_the_next(void **state) {
    (void)state;
    static const char *const leaks[] = {"x = 1", "string.x = 1", "rawset(math, 'x', 1)",
        "table.insert(string, 1)", "getmetatable('').x = 1", "setmetatable(bit, {})",
        "function string.format() end", "table.sort(table)"};
    for (size_t i = 0; i < sizeof leaks / sizeof *leaks; i++)
        assert_int_not_equal(tenant_run(&tenant, leaks[i]), 0);
    assert_int_equal(tenant_run(&tenant, "return function() assert(not x and not string.x and not "
                                         "math.x and not string[1]) return ('%d'):format(1) end"),
        0);
    assert_string_equal(tenant.answer, "1");
}

static void log_lines_are_bounded(void **state) {
    (void)state;
    assert_int_equal(
        tenant_run(&tenant, "log('total', 12.5, nil, true, {}) log('a\\nb') return function() end"),
        0);
    assert_string_equal(tenant.tail, "total 12.5 nil true table\na b\n");
    tenant.tail_len = 0;
    assert_int_equal(tenant_run(&tenant, "log(('x'):rep(600), 'y') return function() end"), 0);
    assert_int_equal(tenant.tail_len, 513);
    tenant.tail_len = 0;
    assert_int_equal(
        tenant_run(&tenant, "for i = 1, 100 do log(i % 10) end return function() end"), 0);
    assert_int_equal(tenant.tail_len, 40); /* twenty lines */
}

static void pcall_catches_errors_and_no_more(void **state) {
    (void)state;
    assert_int_equal(
        tenant_run(&tenant, "return function() local ok, e = pcall(error, 'x', 0) local good, a, b "
                            "= pcall(function() return 1, 2 end) "
                            "return tostring(ok) .. e .. tostring(good) .. a .. b end"),
        0);
    assert_string_equal(tenant.answer, "falsextrue12");
    assert_int_equal(
        tenant_run(&tenant,
            "return function() local ok, e = pcall(function() return os end) return e end"),
        0);
    assert_string_equal(tenant.answer, "rule.lua:1: rules do not have 'os'");
    assert_int_equal(
        tenant_run(&tenant,
            "local function f(n) if n > 0 then return pcall(f, n - 1) end error('end', 0) end "
            "return function() return (f(199)) end"),
        0);
    assert_string_equal(tenant.answer, "true");
    assert_int_equal(tenant_run(&tenant, "local function f() pcall(f) end f()"), ERR_BUDGET_DEPTH);
}

static void creation_survives_every_failed_allocation(void **state) {
    (void)state;
    sandbox_limits_t limits = tenant_limits();
    loop_t *loop = loop_new();
    sandbox_t *sandbox = NULL;
    for (int n = 0; !sandbox; n++) {
        vm_fail_next(n);
        sandbox = sandbox_new(loop, &limits, NULL, NULL);
        assert_true(n < 2000);
    }
    vm_fail_next(-1);
    sandbox_delete(sandbox);
    loop_delete(loop);
}

static void a_vm_is_small(void **state) {
    (void)state;
    assert_true(sandbox_vm(tenant.sandbox)->used < 40 * 1024);
}

/* Routes */

typedef struct visit {
    bool done;
    task_end_t end;
    char answer[300];
    sandbox_fault_t fault;
} visit_t;

static void on_done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    visit_t *visit = task_user(task);
    visit->done = true;
    visit->end = end;
    if (end == TASK_OK && nresults > 0 && lua_type(L, -1) == LUA_TSTRING)
        snprintf(visit->answer, sizeof visit->answer, "%s", lua_tostring(L, -1));
    if (end != TASK_OK && end != TASK_CANCELLED) sandbox_task_fault(task, error, &visit->fault);
}

static int l_sleep(lua_State *L);

static int push_shop(lua_State *L, void *data) {
    (void)data;
    lua_newtable(L);
    lua_pushcfunction(L, l_sleep);
    lua_setfield(L, -2, "sleep");
    return 1;
}

/* A wait of a millisecond or two, as shop's functions are. */
typedef struct rest {
    await_t await;
    deadline_t deadline;
} rest_t;

static void on_rest(deadline_t *deadline) {
    rest_t *rest = (rest_t *)((char *)deadline - offsetof(rest_t, deadline));
    await_finish(&rest->await);
}

static int push_rested(await_t *await, lua_State *L) {
    (void)await;
    lua_pushliteral(L, "rested");
    return 1;
}

static void cancel_rest(await_t *await) {
    rest_t *rest = (rest_t *)((char *)await - offsetof(rest_t, await));
    deadline_clear(&rest->deadline);
    await_finish(await);
}

static void free_rest(await_t *await) {
    free((char *)await - offsetof(rest_t, await));
}

static int l_sleep(lua_State *L) {
    static const await_ops_t ops = {push_rested, cancel_rest, free_rest, "rest"};
    rest_t *rest = calloc(1, sizeof *rest);
    assert_non_null(rest);
    deadline_init(&rest->deadline, on_rest);
    await_begin(L, &rest->await, &ops, 60000);
    deadline_set(tenant.loop, &rest->deadline, loop_now(tenant.loop) + 1);
    return await_park(L, &rest->await);
}

static task_t *start(visit_t *visit, const char *text, const char *route, bool *alive) {
    static const task_ops_t ops = {on_done, NULL, NULL};
    int ref;
    assert_int_equal(
        sandbox_load(tenant.sandbox, span_of(text), "routes.lua", &ref, &visit->fault), 0);
    task_options_t options = {.ops = &ops, .user = visit};
    return sandbox_start(
        tenant.sandbox, ref, route, &options, push_shop, NULL, alive, &visit->fault);
}

static void wait_for(visit_t *visit) {
    for (int turns = 0; !visit->done && turns < 10000; turns++)
        loop_turn(tenant.loop, 20);
    assert_true(visit->done);
}

static void a_route_waits_and_answers(void **state) {
    (void)state;
    bool alive;
    visit_t visit = {0};
    const char *text = "local n = 0 return {['GET /a'] = function(shop) n = n + 1 local a = "
                       "shop.sleep() n = n + 1 return a .. shop.sleep() .. n end}";
    assert_non_null(start(&visit, text, "GET /a", &alive));
    assert_true(alive);
    wait_for(&visit);
    assert_int_equal(visit.end, TASK_OK);
    assert_string_equal(visit.answer, "restedrested2");
}

static void two_routes_wait_side_by_side(void **state) {
    (void)state;
    bool alive;
    visit_t first = {0}, second = {0};
    const char *text = "local n = 0 return {a = function(shop) for i = 1, 5 do n = n + 1 "
                       "shop.sleep() end return 'n' .. n end}";
    start(&first, text, "a", &alive);
    start(&second, text, "a", &alive);
    wait_for(&first);
    wait_for(&second);
    assert_string_equal(first.answer, "n5");
    assert_string_equal(second.answer, "n5");
}

static void a_route_has_one_budget_over_all_waits(void **state) {
    (void)state;
    bool alive;
    visit_t visit = {0};
    const char *text = "return {a = function(shop)\n while true do for i = 1, 100000 do local x = "
                       "i end\n shop.sleep() end end}";
    start(&visit, text, "a", &alive);
    wait_for(&visit);
    assert_int_equal(visit.end, TASK_ERROR);
    assert_int_equal(visit.fault.err, ERR_BUDGET_INSTRUCTIONS);
    assert_string_equal(visit.fault.file, "routes.lua");
    assert_int_equal(visit.fault.line, 2);
    /* The VM serves on. */
    visit_t next = {0};
    start(&next, "return {a = function() return 'well' end}", "a", &alive);
    assert_true(next.done);
    assert_string_equal(next.answer, "well");
}

static void a_route_that_fails_is_named(void **state) {
    (void)state;
    bool alive;
    visit_t visit = {0};
    start(&visit, "return {a = function(shop) shop.sleep()\n local x = nil + 1 end}", "a", &alive);
    wait_for(&visit);
    assert_int_equal(visit.end, TASK_ERROR);
    assert_int_equal(visit.fault.err, ERR_RULE_ERROR);
    assert_int_equal(visit.fault.line, 2);
    assert_non_null(strstr(visit.fault.text, "attempt to perform arithmetic on a nil value"));
    visit_t caught = {0};
    start(&caught,
        "return {a = function(shop) local ok, e = pcall(shop.sleep) return tostring(ok) end}", "a",
        &alive);
    wait_for(&caught);
    assert_string_equal(caught.answer, "false");
    visit_t loop = {0};
    start(&loop,
        "return {a = function() while true do pcall(function() while true do end end) end end}",
        "a", &alive);
    wait_for(&loop);
    assert_int_equal(loop.fault.err, ERR_BUDGET_INSTRUCTIONS);
}

static void a_route_that_cannot_start_says_why(void **state) {
    (void)state;
    bool alive = true;
    visit_t visit = {0};
    assert_null(start(&visit, "return {}", "GET /x", &alive));
    assert_false(alive || visit.done);
    assert_int_equal(visit.fault.err, ERR_BAD_RESULT);
    assert_string_equal(visit.fault.file, "routes.lua");
    assert_null(start(&visit, "return 1", "GET /x", &alive));
    assert_int_equal(visit.fault.err, ERR_BAD_RESULT);
    assert_null(start(&visit, "while true do end", "GET /x", &alive));
    assert_int_equal(visit.fault.err, ERR_BUDGET_INSTRUCTIONS);
    assert_null(start(&visit,
        "return setmetatable({}, {__index = function() while true do end end})", "GET /x", &alive));
    assert_int_equal(visit.fault.err, ERR_BAD_RESULT);
}

static void a_parked_route_can_be_cancelled(void **state) {
    (void)state;
    bool alive;
    visit_t visit = {0};
    task_t *task =
        start(&visit, "return {a = function(shop) shop.sleep() return 'late' end}", "a", &alive);
    assert_true(alive);
    task_cancel(task);
    assert_true(visit.done);
    assert_int_equal(visit.end, TASK_CANCELLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_tenant, close_tenant)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(loads_text_only),
        TEST(a_long_file_is_refused),
        TEST(deep_nesting_is_refused),
        TEST(long_chains_compile_or_are_refused),
        TEST(faults_name_file_line_and_reason),
        TEST(error_texts_are_plain),
        TEST(each_call_starts_afresh),
        TEST(nothing_passes_from_one_call_to_the_next),
        TEST(log_lines_are_bounded),
        TEST(pcall_catches_errors_and_no_more),
        cmocka_unit_test(creation_survives_every_failed_allocation),
        TEST(a_vm_is_small),
        TEST(a_route_waits_and_answers),
        TEST(two_routes_wait_side_by_side),
        TEST(a_route_has_one_budget_over_all_waits),
        TEST(a_route_that_fails_is_named),
        TEST(a_route_that_cannot_start_says_why),
        TEST(a_parked_route_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
