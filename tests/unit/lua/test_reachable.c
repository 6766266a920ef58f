/* test_reachable.c: everything a tenant's script can reach is on tests/hostile/allowlist.txt, found as an attacker
   with a debugger would: through fields, metatables, upvalues and environments. */
#include "lua/tenant.h"
#include "base/map.h"

#define LINES 400
#define KEYS 100

/* A walk over the values of the VM. Names are paths; what is reached twice keeps its first. */
typedef struct walk {
    char lines[LINES][120];
    size_t n;
    map_t seen;
} walk_t;

static void visit(lua_State *L, walk_t *walk, const char *path);

static void note(walk_t *walk, const char *path, const char *kind) {
    assert_true(walk->n < LINES);
    snprintf(walk->lines[walk->n++], sizeof walk->lines[0], "%s %s", path, kind);
}

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

static size_t list_keys(lua_State *L, int table, char (*keys)[80]) {
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, table);) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) continue;
        assert_true(n < KEYS);
        snprintf(keys[n++], sizeof keys[0], "%s", lua_tostring(L, -1));
    }
    qsort(keys, n, sizeof keys[0], by_text);
    return n;
}

/* In the order of the keys, so that what is reached twice always has the same name. A metatable's __index is named
   as the table itself: that is where a script finds it. */
static void visit_fields(lua_State *L, walk_t *walk, const char *path, bool meta) {
    int table = lua_gettop(L);
    char name[200];
    char(*keys)[80] = malloc(sizeof *keys * KEYS);
    assert_non_null(keys);
    size_t n = list_keys(L, table, keys);
    for (size_t i = 0; i < n; i++) {
        bool index = meta && strcmp(keys[i], "__index") == 0;
        snprintf(name, sizeof name, index ? "%s" : meta ? "%s<meta>.%s" : "%s.%s", path, keys[i]);
        lua_pushstring(L, keys[i]);
        lua_rawget(L, table);
        visit(L, walk, name);
    }
    free(keys);
    for (size_t i = 1; i <= lua_objlen(L, table); i++) {
        snprintf(name, sizeof name, "%s.%zu", path, i);
        lua_rawgeti(L, table, (int)i);
        visit(L, walk, name);
    }
}

static bool is_new(lua_State *L, walk_t *walk) {
    const void *where = lua_topointer(L, -1);
    span_t key = {(const char *)&where, sizeof where};
    if (map_get(&walk->seen, key)) return false;
    map_set(&walk->seen, key, walk, NULL);
    return true;
}

static void visit_meta(lua_State *L, walk_t *walk, const char *path) {
    if (!lua_getmetatable(L, -1)) return;
    if (is_new(L, walk)) {
        visit_fields(L, walk, path, true);
        visit_meta(L, walk, path);
    }
    lua_pop(L, 1);
}

static void visit_function(lua_State *L, walk_t *walk, const char *path) {
    char name[200];
    int function = lua_gettop(L);
    lua_getfenv(L, function);
    visit(L, walk, "globals");
    for (int i = 1; lua_getupvalue(L, function, i); i++) {
        snprintf(name, sizeof name, "%s<upvalue %d>", path, i);
        visit(L, walk, name);
    }
}

/* Takes the value on the top away. A function is listed under each of its names. */
static void visit(lua_State *L, walk_t *walk, const char *path) {
    int type = lua_type(L, -1);
    bool holder = type == LUA_TTABLE || type == LUA_TUSERDATA || type == LUA_TTHREAD;
    luaL_checkstack(L, 10, "");
    if (holder && !is_new(L, walk)) {
        lua_pop(L, 1);
        return;
    }
    note(walk, path, lua_iscfunction(L, -1) ? "C function" : luaL_typename(L, -1));
    if (type == LUA_TTABLE) visit_fields(L, walk, path, false);
    if (type == LUA_TFUNCTION) visit_function(L, walk, path);
    if (type != LUA_TFUNCTION) visit_meta(L, walk, type == LUA_TSTRING ? "(any text)" : path);
    lua_pop(L, 1);
}

static int take_all(lua_State *L, void *data, sandbox_fault_t *fault) {
    (void)fault;
    lua_pushvalue(L, -1);
    visit(L, data, "rule");
    return 0;
}

static size_t read_list(char (*lines)[120]) {
    const char *own = "unit/lua/test_reachable.c";
    char path[1024];
    size_t n = 0;
    snprintf(path, sizeof path, "%.*shostile/allowlist.txt", (int)(strlen(__FILE__) - strlen(own)),
        __FILE__);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (n < LINES && fgets(lines[n], sizeof lines[n], file)) {
        lines[n][strcspn(lines[n], "\n")] = 0;
        if (lines[n][0] != '#' && lines[n][0]) n++;
    }
    fclose(file);
    return n;
}

/* A rule with a name on everything it could hold: its own environment leads to the libraries, a text to the text
   functions. */
static const char RULE[] =
    "local text, number = 'text', 1 "
    "local iterate, list, state = pairs({a = 1}) "
    "local each = ('a'):gmatch('a') local all = ipairs({}) "
    "return function() return function() return text, number, iterate, each, all end end";

static void only_the_allowed_is_reachable(void **state) {
    (void)state;
    static walk_t walk;
    static char allowed[LINES][120];
    tenant_t tenant;
    int ref;
    sandbox_limits_t limits = tenant_limits();
    tenant_open(&tenant, &limits);
    map_create(&walk.seen);
    assert_int_equal(sandbox_load(tenant.sandbox, SPAN(RULE), "rule.lua", &ref, &tenant.fault), 0);
    sandbox_begin(tenant.sandbox, 1);
    assert_int_equal(
        sandbox_call(tenant.sandbox, ref, tenant_push, take_all, &walk, &tenant.fault), 0);
    sandbox_end(tenant.sandbox, NULL);
    size_t n = read_list(allowed);
    qsort(walk.lines, walk.n, sizeof walk.lines[0], by_text);
    if (getenv("PERIGEE_PRINT_REACHABLE"))
        for (size_t i = 0; i < walk.n; i++)
            puts(walk.lines[i]);
    for (size_t i = 0; i < walk.n; i++)
        assert_string_equal(walk.lines[i], i < n ? allowed[i] : "(not on the list)");
    assert_int_equal(walk.n, n);
    map_destroy(&walk.seen);
    tenant_close(&tenant);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_the_allowed_is_reachable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
