/* test_trial.c: editions tried in a child: what passes is shelved, what does not is named, and what kills the child
   is refused without the rest. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include "core/folder.h"
#include "trial.h"

#define TENANT(slug) "{\"slug\":\"" slug "\",\"name\":\"Shop\",\"settings\":{\"currency\":\"USD\"}}"
#define SAMPLE                                                                                     \
    "{\"items\":[{\"productId\":\"p\",\"sku\":\"s\",\"name\":\"n\",\"price\":\"1.00\","            \
    "\"quantity\":1}]}"

typedef struct bench {
    char folder[256];
    config_t config;
    shelf_t shelf;
    trial_t *trial;
    int results, passed;
    char last[SOURCE_MAX], error[600];
    shelf_mark_t mark;
} bench_t;

static int set_up(void **state) {
    bench_t *bench = calloc(1, sizeof *bench);
    folder_create(bench->folder);
    folder_mkdir(bench->folder, "editions");
    folder_mkdir(bench->folder, "scripts");
    folder_mkdir(bench->folder, "tenants");
    config_default(&bench->config);
    snprintf(bench->config.scripts, sizeof bench->config.scripts, "%s/scripts", bench->folder);
    snprintf(bench->config.tenants, sizeof bench->config.tenants, "%s/tenants", bench->folder);
    bench->config.trial_memory_bytes = 8LL << 30; /* sanitizers need address space */
    *state = bench;
    return shelf_create(&bench->shelf, bench->folder);
}

static int tear_down(void **state) {
    bench_t *bench = *state;
    if (bench->trial) trial_delete(bench->trial);
    shelf_destroy(&bench->shelf);
    folder_destroy(bench->folder);
    free(bench);
    return 0;
}

static void on_result(void *data, const trial_result_t *result) {
    bench_t *bench = data;
    bench->results++;
    bench->passed += result->ok;
    bench->mark = result->mark;
    snprintf(bench->last, sizeof bench->last, "%s", result->source);
    snprintf(bench->error, sizeof bench->error, "%s", result->error);
}

static void add_tenant(bench_t *bench, const char *slug, const char *document, const char *rule) {
    char name[200];
    snprintf(name, sizeof name, "tenants/%s", slug);
    folder_mkdir(bench->folder, name);
    snprintf(name, sizeof name, "tenants/%s/tenant.json", slug);
    folder_write(bench->folder, name, document);
    snprintf(name, sizeof name, "tenants/%s/pricing.lua", slug);
    folder_write(bench->folder, name, rule);
    snprintf(name, sizeof name, "tenants/%s/samples", slug);
    folder_mkdir(bench->folder, name);
    snprintf(name, sizeof name, "tenants/%s/samples/one.json", slug);
    folder_write(bench->folder, name, SAMPLE);
}

/* Until the child has ended; its status. */
static int run(bench_t *bench) {
    poller_t poller;
    int status;
    poller_create(&poller);
    while (waitpid(trial_pid(bench->trial), &status, WNOHANG) == 0) {
        poller_clear(&poller);
        trial_watch(bench->trial, &poller);
        poller_wake(&poller, poller_now() + 20);
        poller_wait(&poller);
        trial_tick(bench->trial, poller_now());
    }
    poller_destroy(&poller);
    return status;
}

static void try_all(bench_t *bench, char (*sources)[SOURCE_MAX], size_t count) {
    bench->trial = trial_new(&bench->config, &bench->shelf, sources, count, on_result, bench);
    assert_non_null(bench->trial);
}

static void what_passes_is_shelved(void **state) {
    bench_t *bench = *state;
    char sources[2][SOURCE_MAX] = {SOURCE_SCRIPTS, SOURCE_TENANTS "acme"};
    char(*rest)[SOURCE_MAX], path[SHELF_PATH_MAX];
    folder_write(bench->folder, "scripts/main.lua", "return {}");
    add_tenant(bench, "acme", TENANT("acme"), "return function() return {} end");
    try_all(bench, sources, 2);
    int status = run(bench);
    assert_int_equal(trial_reaped(bench->trial, status, &rest), 0);
    assert_int_equal(bench->results, 2);
    if (bench->passed != 2) fail_msg("%s: %s", bench->last, bench->error);
    shelf_path(&bench->shelf, SOURCE_TENANTS "acme", bench->mark.key, path);
    assert_int_equal(access(path, R_OK), 0);
}

static void what_fails_is_named_and_the_next_is_tried(void **state) {
    bench_t *bench = *state;
    char sources[2][SOURCE_MAX] = {SOURCE_TENANTS "acme", SOURCE_SCRIPTS};
    char(*rest)[SOURCE_MAX];
    add_tenant(bench, "acme", TENANT("acme"), "return {}");
    folder_write(bench->folder, "scripts/main.lua", "return {\n  oops oops\n}");
    try_all(bench, sources, 2);
    int status = run(bench);
    assert_int_equal(trial_reaped(bench->trial, status, &rest), 0);
    assert_int_equal(bench->results, 2);
    assert_int_equal(bench->passed, 0);
    assert_non_null(strstr(bench->error, "main.lua:2:"));
}

/* Whether an answer lies ready; it is read. */
static bool has_spoken(bench_t *bench) {
    poller_t poller;
    int before = bench->results;
    poller_create(&poller);
    trial_watch(bench->trial, &poller);
    poller_wake(&poller, 0);
    poller_wait(&poller);
    poller_destroy(&poller);
    return bench->results > before;
}

/* Kills the child before it has answered for any of the sources; it may be fast once, but not each time. */
static void kill_early(bench_t *bench, char (*sources)[SOURCE_MAX], size_t count) {
    do {
        if (bench->trial) trial_delete(bench->trial);
        try_all(bench, sources, count);
        kill(trial_pid(bench->trial), SIGKILL);
        waitpid(trial_pid(bench->trial), &(int){0}, 0);
    } while (has_spoken(bench));
    bench->results = 0;
}

/* Whatever ends the child: the source that it was at is refused, those behind it are left. */
static void a_child_that_dies_refuses_one_source_only(void **state) {
    bench_t *bench = *state;
    char sources[3][SOURCE_MAX] = {
        SOURCE_TENANTS "acme", SOURCE_TENANTS "tokyo", SOURCE_TENANTS "other"};
    char(*rest)[SOURCE_MAX];
    kill_early(bench, sources, 3);
    assert_int_equal(trial_reaped(bench->trial, SIGKILL, &rest), 2);
    assert_int_equal(bench->results, 1);
    assert_int_equal(bench->passed, 0);
    assert_string_equal(bench->last, SOURCE_TENANTS "acme");
    assert_string_equal(rest[0], SOURCE_TENANTS "tokyo");
    assert_string_equal(rest[1], SOURCE_TENANTS "other");
}

static void how_it_died_is_said(void **state) {
    bench_t *bench = *state;
    char sources[1][SOURCE_MAX] = {SOURCE_TENANTS "acme"};
    const struct {
        int status;
        const char *says;
    } cases[] = {{SIGXCPU, "processor time"}, {SIGKILL, "did not come to an end"},
        {SIGSEGV, "crashed (signal 11)"}, {3 << 8, "crashed (exit code 3)"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char(*rest)[SOURCE_MAX];
        kill_early(bench, sources, 1);
        assert_int_equal(trial_reaped(bench->trial, cases[i].status, &rest), 0);
        assert_non_null(strstr(bench->error, cases[i].says));
    }
}

static void one_that_makes_no_progress_is_killed(void **state) {
    bench_t *bench = *state;
    char sources[1][SOURCE_MAX] = {SOURCE_TENANTS "acme"};
    int status;
    try_all(bench, sources, 1);
    kill(trial_pid(bench->trial), SIGSTOP);
    trial_tick(bench->trial, poller_now() + 3600000);
    assert_int_equal(waitpid(trial_pid(bench->trial), &status, 0), trial_pid(bench->trial));
    assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGKILL);
    char(*rest)[SOURCE_MAX];
    assert_int_equal(trial_reaped(bench->trial, status, &rest), 0);
    assert_int_equal(bench->results, 1);
    assert_int_equal(bench->passed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_passes_is_shelved),
        TEST(what_fails_is_named_and_the_next_is_tried),
        TEST(a_child_that_dies_refuses_one_source_only),
        TEST(how_it_died_is_said),
        TEST(one_that_makes_no_progress_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
