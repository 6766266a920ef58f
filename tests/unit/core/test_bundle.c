/* test_bundle.c: editions of scripts are compiled from files and folders, on a thread too, or refused with a
   sentence. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/err.h"
#include "core/own_folder.h"
#include "loader.h"

static char why[1000];

static int read_text(const char *text, bundle_t **out) {
    char path[512];
    folder_path(path, folder, "edition.json");
    folder_write(folder, "edition.json", text);
    return bundle_read(path, out, why, sizeof why);
}

static void an_edition_becomes_modules(void **state) {
    (void)state;
    bundle_t *bundle;
    vm_source_t source;
    assert_int_equal(read_text("{\"hash\":\"abc\",\"files\":{\"main.lua\":\"return 1\","
                               "\"api/x.lua\":\"return 2\",\"stores/init.lua\":\"return 3\","
                               "\"README.md\":\"not Lua\"}}",
                         &bundle),
        0);
    assert_string_equal(bundle->hash, "abc");
    assert_true(bundle_load(bundle, "main", &source));
    assert_true(bundle_load(bundle, "api.x", &source));
    assert_string_equal(source.name, "@scripts/api/x.lua");
    assert_true(bundle_load(bundle, "stores", &source));
    assert_false(bundle_load(bundle, "README", &source));
    assert_false(bundle_load(bundle, "api", &source));
    bundle_delete(bundle);
}

static void what_is_wrong_is_named(void **state) {
    static const struct {
        const char *text;
        int err;
        const char *part;
    } CASES[] = {
        {"", ERR_BAD_JSON, "not JSON"},
        {"[]", ERR_BAD_JSON, "no hash or no files"},
        {"{\"hash\":\"a\"}", ERR_BAD_JSON, "no hash or no files"},
        {"{\"hash\":\"a\",\"files\":[]}", ERR_BAD_JSON, "no hash or no files"},
        {"{\"hash\":\"a\",\"files\":{\"api/x.lua\":\"\\n\\nreturn +\"}}", ERR_SYNTAX,
            "scripts/api/x.lua:3:"},
        {"{\"hash\":\"a\",\"files\":{\"x.lua\":\"\\u001bLJ\\u0002\"}}", ERR_SYNTAX, "x.lua"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        bundle_t *bundle;
        assert_int_equal(read_text(CASES[i].text, &bundle), CASES[i].err);
        assert_null(bundle);
        if (!strstr(why, CASES[i].part)) fail_msg("%s", why);
    }
    bundle_t *bundle;
    assert_int_equal(bundle_read("/nowhere/edition.json", &bundle, why, sizeof why), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "/nowhere/edition.json"));
}

static void a_folder_is_an_edition_too(void **state) {
    (void)state;
    bundle_t *bundle;
    vm_source_t source;
    folder_write(folder, "main.lua", "return 1");
    folder_mkdir(folder, "lib");
    folder_write(folder, "lib/x.lua", "return 2");
    assert_int_equal(bundle_read_folder(folder, &bundle, why, sizeof why), 0);
    assert_int_equal(strlen(bundle->hash), 64);
    assert_true(bundle_load(bundle, "lib.x", &source));
    bundle_delete(bundle);
    folder_write(folder, "lib/x.lua", "return +");
    assert_int_equal(bundle_read_folder(folder, &bundle, why, sizeof why), ERR_SYNTAX);
    assert_null(bundle);
    assert_non_null(strstr(why, "scripts/lib/x.lua:1:"));
}

typedef struct got {
    int count;
    bundle_t *bundle;
    edition_t *edition;
    char why[300];
} got_t;

static void on_bundle(void *data, bundle_t *bundle, const char *reason) {
    got_t *got = data;
    got->count++;
    got->bundle = bundle;
    snprintf(got->why, sizeof got->why, "%s", reason);
}

static void on_edition(void *data, edition_t *edition, const char *reason) {
    got_t *got = data;
    got->count++;
    got->edition = edition;
    snprintf(got->why, sizeof got->why, "%s", reason);
}

static void a_thread_reads_them(void **state) {
    (void)state;
    char path[512];
    got_t good = {0}, bad = {0}, edition = {0};
    loop_t *loop = loop_new();
    loader_t *loader = loader_new(loop);
    folder_path(path, folder, "edition.json");
    folder_write(folder, "edition.json", "{\"hash\":\"a\",\"files\":{\"main.lua\":\"return 1\"}}");
    assert_int_equal(loader_bundle(loader, path, on_bundle, &good), 0);
    assert_int_equal(loader_bundle(loader, "/nowhere", on_bundle, &bad), 0);
    assert_int_equal(loader_edition(loader, path, on_edition, &edition), 0);
    assert_int_equal(good.count + bad.count + edition.count, 0);
    while (good.count + bad.count + edition.count < 3)
        loop_turn(loop, 20);
    assert_non_null(good.bundle);
    assert_null(bad.bundle);
    assert_non_null(strstr(bad.why, "/nowhere"));
    assert_null(edition.edition);
    assert_string_not_equal(edition.why, "");
    bundle_delete(good.bundle);
    loader_delete(loader);
    loop_delete(loop);
}

/* Each callback comes, also when the loader goes first. */
static void the_end_of_the_loader_answers_everybody(void **state) {
    (void)state;
    char path[512];
    got_t got[20] = {0};
    loop_t *loop = loop_new();
    loader_t *loader = loader_new(loop);
    folder_path(path, folder, "edition.json");
    folder_write(folder, "edition.json", "{\"hash\":\"a\",\"files\":{\"main.lua\":\"return 1\"}}");
    for (int i = 0; i < 20; i++)
        assert_int_equal(loader_bundle(loader, path, on_bundle, &got[i]), 0);
    loader_delete(loader);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(got[i].count, 1);
        if (!got[i].bundle) assert_string_equal(got[i].why, "the worker is stopping");
        bundle_delete(got[i].bundle);
    }
    loop_delete(loop);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, own_folder_create, own_folder_destroy)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(an_edition_becomes_modules),
        CASE(what_is_wrong_is_named),
        CASE(a_folder_is_an_edition_too),
        CASE(a_thread_reads_them),
        CASE(the_end_of_the_loader_answers_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
