/* test_edition.c: folders over defaults, the hash, the way through JSON, and folders that cannot be read. */
#include "tenant/rig.h"
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[256];

static void put(const char *name, const char *text) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int remove_one(const char *path, const struct stat *about, int flag, struct FTW *walk) {
    (void)about;
    (void)flag;
    (void)walk;
    return remove(path);
}

static int open_folder(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/edition-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(root)) return -1;
    put("_default/pricing.lua", "-- none");
    put("_default/tax.lua", "return function() end");
    put("_default/samples/a.json", "{\"items\":[]}");
    put("acme/pricing.lua", "return function() return {} end");
    return 0;
}

static int close_folder(void **state) {
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static edition_t *read_edition(const char *slug) {
    edition_t *edition = NULL;
    char why[300] = "";
    if (edition_read(root, slug, &edition, why, sizeof why)) fail_msg("%s", why);
    return edition;
}

static void expect_refusal(const char *slug, int err, const char *says) {
    edition_t *edition = NULL;
    char why[300] = "";
    assert_int_equal(edition_read(root, slug, &edition, why, sizeof why), err);
    if (!strstr(why, says)) fail_msg("%s", why);
}

static void own_files_lie_over_the_defaults(void **state) {
    (void)state;
    edition_t *edition = read_edition("acme");
    assert_true(edition->own[RULE_PRICING]);
    assert_false(edition->own[RULE_TAX]);
    assert_true(span_eq(edition->text[RULE_TAX], SPAN("return function() end")));
    assert_int_equal(edition->text[RULE_ROUTES].len, 0);
    assert_int_equal(edition->nsamples, 1);
    edition_unref(edition);
}

static void own_samples_replace_the_defaults(void **state) {
    (void)state;
    put("acme/samples/z.json", "{}");
    put("acme/samples/b.json", "{\"items\":[]}");
    put("acme/samples/.b.json.swp", "x");
    put("acme/samples/notes.txt", "x");
    edition_t *edition = read_edition("acme");
    assert_int_equal(edition->nsamples, 2);
    assert_true(span_eq(edition->sample_names[0], SPAN("samples/b.json")));
    edition_unref(edition);
}

static void the_hash_is_that_of_the_five_files(void **state) {
    (void)state;
    edition_t *first = read_edition("acme");
    put("acme/tenant.json", "{\"settings\":{}}");
    edition_t *same = read_edition("acme");
    put("acme/tax.lua", "return function() end ");
    edition_t *other = read_edition("acme");
    assert_int_equal(strlen(first->hash), 64);
    assert_string_equal(first->hash, same->hash);
    assert_string_not_equal(first->hash, other->hash);
    edition_unref(first);
    edition_unref(same);
    edition_unref(other);
}

static void an_edition_survives_its_json(void **state) {
    (void)state;
    put("acme/routes.lua", "return {}\n-- \"quotes\" \\ and \xe3\x83\x9e\t\n");
    put("acme/tenant.json", "{\"name\":\"Acme\",\"settings\":{\"taxRate\":0.0825}}");
    edition_t *edition = read_edition("acme"), *copy = NULL;
    char why[300] = "";
    buf_t json;
    buf_create(&json);
    edition_write(edition, &json);
    if (edition_parse(buf_view(&json), &copy, why, sizeof why)) fail_msg("%s", why);
    assert_string_equal(copy->hash, edition->hash);
    assert_true(span_eq(copy->slug, edition->slug));
    assert_true(span_eq(copy->document, edition->document));
    assert_int_equal(copy->nsamples, edition->nsamples);
    assert_true(span_eq(copy->samples[0], edition->samples[0]));
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        assert_true(span_eq(copy->text[kind], edition->text[kind]));
        assert_int_equal(copy->own[kind], edition->own[kind]);
    }
    edition_unref(edition);
    edition_unref(copy);
    buf_destroy(&json);
}

static void a_changed_json_is_refused(void **state) {
    (void)state;
    edition_t *edition = read_edition("acme"), *copy = NULL;
    char why[300] = "";
    buf_t json;
    buf_create(&json);
    edition_write(edition, &json);
    buf_char(&json, 0);
    char *at = strstr(json.ptr, "return {}");
    assert_non_null(at);
    memcpy(at, "return {{", 9);
    assert_int_equal(edition_parse(span_of(json.ptr), &copy, why, sizeof why), ERR_INVALID);
    assert_non_null(strstr(why, "hash"));
    const char *texts[] = {
        "", "[]", "{}", "{\"hash\":1}", "{\"slug\":\"a\",\"document\":\"\",\"files\":{}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(edition_parse(span_of(texts[i]), &copy, why, sizeof why), ERR_INVALID);
    edition_unref(edition);
    buf_destroy(&json);
}

static void only_tenants_folders_are_read(void **state) {
    (void)state;
    put("secret/pricing.lua", "x");
    const char *slugs[] = {
        "nobody", "../secret", "acme/../secret", "", ".", "..", "ACME", "a b", "-acme"};
    for (size_t i = 0; i < sizeof slugs / sizeof *slugs; i++)
        expect_refusal(slugs[i], ERR_NOT_FOUND, slugs[i]);
}

static void files_that_cannot_be_rules_are_named(void **state) {
    (void)state;
    char path[600], *large = malloc(70000);
    memset(large, ' ', 69999);
    large[69999] = 0;
    put("acme/tax.lua", large);
    expect_refusal("acme", ERR_TOO_LARGE, "acme/tax.lua");
    put("acme/tax.lua", "-- \xff\n");
    expect_refusal("acme", ERR_INVALID, "not UTF-8");
    snprintf(path, sizeof path, "%s/acme/tax.lua", root);
    unlink(path);
    assert_int_equal(mkfifo(path, 0644), 0);
    expect_refusal("acme", ERR_INVALID, "not a plain file");
    unlink(path);
    mkdir(path, 0755);
    expect_refusal("acme", ERR_INVALID, "not a plain file");
    free(large);
}

#define FOLDER(test) cmocka_unit_test_setup_teardown(test, open_folder, close_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        FOLDER(own_files_lie_over_the_defaults),
        FOLDER(own_samples_replace_the_defaults),
        FOLDER(the_hash_is_that_of_the_five_files),
        FOLDER(an_edition_survives_its_json),
        FOLDER(a_changed_json_is_refused),
        FOLDER(only_tenants_folders_are_read),
        FOLDER(files_that_cannot_be_rules_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
