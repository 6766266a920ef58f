/* test_lib_match.c: the tenants' find, match, gmatch and gsub give what LuaJIT's own give, on many patterns and
   texts. */
#include "lua/tenant.h"
#include <lauxlib.h>
#include <lualib.h>

/* Runs every pattern on every text through every function and joins the answers; the same chunk runs in a stock
   state and in a tenant's. An error answers "error": its wording is ours. */
static const char SCRIPT[] =
    "local patterns, texts, templates = ...\n"
    "local out = {}\n"
    "local function show(ok, ...)\n"
    "  if not ok then return 'error' end\n"
    "  local all = {}\n"
    "  for i = 1, select('#', ...) do all[i] = tostring((select(i, ...))) end\n"
    "  return table.concat(all, ',')\n"
    "end\n"
    "local function list(text, pattern)\n"
    "  local all = {}\n"
    "  for a, b in text:gmatch(pattern) do all[#all + 1] = tostring(a) .. '/' .. tostring(b) end\n"
    "  return table.concat(all, ';')\n"
    "end\n"
    "for _, pattern in ipairs(patterns) do\n"
    "  for _, text in ipairs(texts) do\n"
    "    out[#out + 1] = pattern .. ' on ' .. text .. ': '\n"
    "      .. show(pcall(string.find, text, pattern)) .. '|'\n"
    "      .. show(pcall(string.find, text, pattern, 3)) .. '|'\n"
    "      .. show(pcall(string.find, text, pattern, -2)) .. '|'\n"
    "      .. show(pcall(string.find, text, pattern, 1, true)) .. '|'\n"
    "      .. show(pcall(string.match, text, pattern)) .. '|'\n"
    "      .. show(pcall(string.match, text, pattern, 2)) .. '|'\n"
    "      .. show(pcall(list, text, pattern)) .. '|'\n"
    "      .. show(pcall(string.gsub, text, pattern, '<%0>')) .. '|'\n"
    "      .. show(pcall(string.gsub, text, pattern, '%1%%', 2)) .. '|'\n"
    "      .. show(pcall(string.gsub, text, pattern, {a = 'A', ab = false, [''] = 9})) .. '|'\n"
    "      .. show(pcall(string.gsub, text, pattern, function(x, y) return y end))\n"
    "  end\n"
    "end\n"
    "return out\n";

static const char *const patterns[] = {"", "a", "ab", ".", "..", "a*", "a+", "a-", "a?", "a-b",
    "^a", "^", "$", "a$", "^a*$", "^%s*(.-)%s*$", "(a)", "(a*)(b*)", "()", "()b()", "(a(b))",
    "((a)(b))", "(.)%1", "(.-)%1$", "%a", "%A+", "%d+", "%D", "%l", "%u", "%w+", "%W", "%s", "%S+",
    "%p", "%P", "%x+", "%X", "%c", "%C", "%g+", "%G", "%z", "%Z", "%%", "%.", "[abc]", "[^abc]+",
    "[a-c]*", "[%a_][%w_]*", "[%d.]+", "[]]", "[^]]", "[a-]", "[-a]", "[%-x]", "[^%s]+", "%b()",
    "%b{}x", "%bxx", "%f[%w]%w+", "%f[%W]", "%f[b]", "(%w+)=(%w+)", "([^,]*),?", "a.-b.-c", ".-b",
    "x*y*z*", "[%w]", "\\", "-", "a--", "a**", "*", "+a", "?", "$a", "a$b", "^^a", "[a", "[", "[^",
    "[]", "[]a", "%", "a%", "(", "(a", ")", "a)", "%1", "(a)%2", "%b", "%b(", "%f", "%fa", "(()",
    "[%", "[a%", "[a-%", "[%a-z]", "[a-%%]", "[z-a]", "[\xe4-\xff]+", "\xc3.", "%q", "%Q", "%_",
    "(a)(b)(c)(d)(e)", ".*.*.*b", "(a?)(a?)(a?)aaa", "a?a?a?aaa", "[[]", "[]-a]", "()()()",
    "(.*)%1"};
static const char *const texts[] = {"", "a", "b", "ab", "ba", "aaa", "aab", "abc", "abab", "a b c",
    "  trim me  ", "hello world", "x=1, y=22", "f(a(b)c)d(", "{x}x", "THE (quick) fox", "a.b.c",
    "a-b", "a%b", "100%", "aXbXc", "tab\there", "line\nline\r\n", "caf\xc3\xa9 \xe4\xff", "a,b,,c",
    "]", "[]", "^a", "$", "abcdefgh", "aaaaab", "xyzzy", "\x01\x7f ctrl", "word_1 Word2", "-1.5e3",
    "aXaXa"};

static void push_list(lua_State *L, const char *const *list, size_t n) {
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, list[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

#define COUNT(list) (sizeof(list) / sizeof *(list))

static lua_State *stock(void) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    assert_int_equal(luaL_loadstring(L, SCRIPT), 0);
    push_list(L, patterns, COUNT(patterns));
    push_list(L, texts, COUNT(texts));
    if (lua_pcall(L, 2, 1, 0) != 0) fail_msg("%s", lua_tostring(L, -1));
    return L;
}

static int push_both(lua_State *L, void *data) {
    (void)data;
    push_list(L, patterns, COUNT(patterns));
    push_list(L, texts, COUNT(texts));
    return 2;
}

static int compare(lua_State *L, void *data, sandbox_fault_t *fault) {
    lua_State *own = data;
    (void)fault;
    size_t n = COUNT(patterns) * COUNT(texts);
    assert_int_equal(lua_objlen(own, -1), n);
    assert_int_equal(lua_objlen(L, -1), n);
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(own, -1, (int)i);
        lua_rawgeti(L, -1, (int)i);
        assert_string_equal(lua_tostring(L, -1), lua_tostring(own, -1));
        lua_pop(own, 1);
        lua_pop(L, 1);
    }
    return 0;
}

static void agrees_with_the_engine(void **state) {
    (void)state;
    static char rule[sizeof SCRIPT + 64];
    lua_State *own = stock();
    tenant_t tenant;
    int ref;
    sandbox_limits_t limits = tenant_limits();
    limits.instructions = UINT64_MAX / 2;
    limits.allocated = UINT64_MAX / 2;
    limits.memory = (size_t)64 << 20;
    tenant_open(&tenant, &limits);
    snprintf(rule, sizeof rule, "return function(...) %s end", SCRIPT);
    assert_int_equal(
        sandbox_load(tenant.sandbox, span_of(rule), "rule.lua", &ref, &tenant.fault), 0);
    sandbox_begin(tenant.sandbox, 1);
    int err = sandbox_call(tenant.sandbox, ref, push_both, compare, own, &tenant.fault);
    if (err) fail_msg("%s", tenant.fault.text);
    sandbox_end(tenant.sandbox, NULL);
    tenant_close(&tenant);
    lua_close(own);
}

static void charges_every_step(void **state) {
    (void)state;
    expect_fault(
        "(('a'):rep(28)):find(('a?'):rep(28) .. ('a'):rep(28))", ERR_BUDGET_INSTRUCTIONS, "");
    expect_fault("(('a'):rep(50000)):find('.-b')", ERR_BUDGET_INSTRUCTIONS, "");
    expect_fault("(('('):rep(50000)):gsub('%b()', '')", ERR_BUDGET_INSTRUCTIONS, "");
}

static void finds_plain_texts_fast(void **state) {
    (void)state;
    /* Two hundred and fifty thousand bytes that nearly match everywhere cost few steps. */
    expect_answer("tostring((('a'):rep(250000)):find(('a'):rep(120000) .. 'b', 1, true))", "nil");
    expect_answer("(('a'):rep(250000) .. 'b'):find('ab', 1, true)", "250000");
}

static void names_what_is_wrong(void **state) {
    (void)state;
    expect_fault("('a'):find('[a')", ERR_RULE_ERROR, "malformed pattern (missing ']')");
    expect_fault("('a'):find('%')", ERR_RULE_ERROR, "malformed pattern (ends with '%')");
    expect_fault("('a'):gsub('a', '%2')", ERR_RULE_ERROR, "invalid capture index");
    expect_fault("('a'):gsub('a', function() return {} end)", ERR_RULE_ERROR,
        "invalid replacement value (a table)");
    expect_fault("('x'):rep(300):match(('x?'):rep(300))", ERR_RULE_ERROR, "pattern too complex");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_engine),
        cmocka_unit_test(charges_every_step),
        cmocka_unit_test(finds_plain_texts_fast),
        cmocka_unit_test(names_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
