/* test_hostile.c: each script of tests/hostile/attacks ends as its first line says, and the tenant next door
   notices nothing. */
#include "lua/tenant.h"
#include <dirent.h>

#define EXPECT "-- expect: "

static char folder[512];

static void find_folder(void) {
    const char *own = "unit/lua/test_hostile.c";
    snprintf(folder, sizeof folder, "%.*shostile/attacks", (int)(strlen(__FILE__) - strlen(own)),
        __FILE__);
}

static size_t read_script(const char *name, char *text, size_t size) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(text, 1, size - 1, file);
    fclose(file);
    text[len] = 0;
    return len;
}

static void neighbour_is_well(tenant_t *neighbour) {
    const char *rule = "return function(cart) local n = 0 for i = 1, 200 do n = n + i end "
                       "return string.format('%d %s', n, money.percent(1999, '8.25')) end";
    assert_int_equal(tenant_run(neighbour, rule), 0);
    assert_string_equal(neighbour->answer, "20100 165");
    assert_false(sandbox_spent(neighbour->sandbox));
}

/* The error by its limits alone: the time is no limit, so no machine is too slow. */
static void check_outcome(const char *name, const char *text, size_t len, const char *expected) {
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    bool timed = strcmp(expected, "budget_time") == 0;
    if (timed) {
        limits.time_ms = 10;
        limits.instructions = UINT64_MAX / 2;
    }
    tenant_open(&tenant, &limits);
    int err = tenant_run_len(&tenant, text, len);
    const char *got = err ? err_name(err) : "ok";
    if (strcmp(got, expected) != 0)
        fail_msg("%s: %s (%s), not %s", name, got, err ? tenant.fault.text : "", expected);
    if (err) assert_true(tenant.fault.text[0] != 0 && strchr(tenant.fault.text, '\n') == NULL);
    tenant_close(&tenant);
}

/* As in production: the time may end it first, and nothing else may happen. */
static void check_in_time(const char *name, const char *text, size_t len, const char *expected) {
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    limits.time_ms = 10;
    tenant_open(&tenant, &limits);
    int err = tenant_run_len(&tenant, text, len);
    if (err != ERR_BUDGET_TIME && strcmp(err ? err_name(err) : "ok", expected) != 0)
        fail_msg("%s: %s, neither budget_time nor %s", name, err_name(err), expected);
    tenant_close(&tenant);
}

static void every_attack_ends_as_it_says(void **state) {
    (void)state;
    static char text[70000];
    struct dirent **names;
    tenant_t neighbour;
    sandbox_limits_t limits = tenant_limits();
    tenant_open(&neighbour, &limits);
    int n = scandir(folder, &names, NULL, alphasort);
    assert_true(n > 100);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        if (strstr(name, ".lua")) {
            char expected[40];
            size_t len = read_script(name, text, sizeof text);
            assert_int_equal(sscanf(text, EXPECT "%39s", expected), 1);
            check_outcome(name, text, len, expected);
            check_in_time(name, text, len, expected);
            neighbour_is_well(&neighbour);
        }
        free(names[i]);
    }
    free(names);
    tenant_close(&neighbour);
}

/* One VM after another tenant's attack is another VM; the same VM after its own attack still ends every call by
   name. */
static void a_tenant_may_attack_twice(void **state) {
    (void)state;
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    tenant_open(&tenant, &limits);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tenant_run(&tenant, "while true do end"), ERR_BUDGET_INSTRUCTIONS);
        assert_int_equal(
            tenant_run(&tenant, "local function f() return 1 + f() end f()"), ERR_BUDGET_DEPTH);
        assert_int_equal(tenant_run(&tenant, "return function() return 'well' end"), 0);
        assert_string_equal(tenant.answer, "well");
    }
    tenant_close(&tenant);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attack_ends_as_it_says),
        cmocka_unit_test(a_tenant_may_attack_twice),
    };
    find_folder();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
