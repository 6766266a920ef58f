/* test_config.c: where settings come from, which one wins, and how a wrong one is named. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/err.h"
#include "config.h"
#include "core/own_folder.h"

static char why[400];

static int set_up(void **state) {
    (void)state;
    folder_create(folder);
    unsetenv("PERIGEE_PORT");
    unsetenv("PERIGEE_CONFIG");
    unsetenv("PERIGEE_DEMO_KEYS");
    return 0;
}

static int read_text(config_t *config, const char *text) {
    char path[512];
    folder_write(folder, "perigee.conf", text);
    folder_path(path, folder, "perigee.conf");
    return config_read_file(config, path, why, sizeof(why));
}

static void defaults_are_documented_ones(void **state) {
    (void)state;
    config_t config;
    config_default(&config);
    assert_int_equal(config.port, 8080);
    assert_int_equal(config.workers, 1);
    assert_string_equal(config.data, "var");
    assert_false(config.demo_keys);
    assert_int_equal(config.log_level, LOG_INFO);
}

static void file_has_comments_spaces_and_crlf(void **state) {
    (void)state;
    config_t config;
    config_default(&config);
    assert_int_equal(
        read_text(&config, "# shop\r\n\r\n  port=81\r\n\tdata =  a b \nlog_level = warn"), 0);
    assert_int_equal(config.port, 81);
    assert_string_equal(config.data, "a b");
    assert_int_equal(config.log_level, LOG_WARN);
}

static void wrong_key_is_named_with_its_line(void **state) {
    (void)state;
    config_t config;
    config_default(&config);
    assert_int_equal(read_text(&config, "port = 81\n\nprot = 82\n"), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "perigee.conf:3: there is no setting \"prot\""));
}

static void wrong_values_are_named(void **state) {
    (void)state;
    static const struct {
        const char *line, *sentence;
        int err;
    } CASES[] = {
        {"port = 8o80", "perigee.conf:1: port must be a whole number from 0 to 65535, not \"8o80\"",
            ERR_INVALID},
        {"port = 65536", "not \"65536\"", ERR_RANGE},
        {"port = -1", "not \"-1\"", ERR_RANGE},
        {"port = 99999999999999999999", "not \"99999999999999999999\"", ERR_RANGE},
        {"port =", "port must be", ERR_INVALID},
        {"workers = 0", "from 1 to 64", ERR_RANGE},
        {"demo_keys = yes", "demo_keys must be true or false, not \"yes\"", ERR_INVALID},
        {"data =", "data must not be empty", ERR_INVALID},
        {"log_level = loud", "debug, info, warn or error", ERR_INVALID},
        {"port 81", "expected \"key = value\" at \"port\"", ERR_INVALID},
        {"rate_limit = often", "rate_limit: \"often\" is not a rate", ERR_INVALID},
        {"rate_limit_without_store = ajar", "one of open|closed, not \"ajar\"", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        config_t config;
        config_default(&config);
        assert_int_equal(read_text(&config, CASES[i].line), CASES[i].err);
        if (!strstr(why, CASES[i].sentence))
            fail_msg("\"%s\" lacks \"%s\"", why, CASES[i].sentence);
    }
}

static void too_long_text_is_refused(void **state) {
    (void)state;
    config_t config;
    char text[600];
    config_default(&config);
    memset(text, 'x', sizeof(text));
    assert_int_equal(
        config_set(&config, SPAN("data"), (span_t){text, sizeof(text)}, "--data", why, sizeof(why)),
        ERR_RANGE);
    assert_int_equal(
        config_set(&config, SPAN("data"), (span_t){text, 511}, "--data", why, sizeof(why)), 0);
    assert_int_equal(strlen(config.data), 511);
}

static void environment_wins_over_file(void **state) {
    (void)state;
    config_t config;
    char path[512];
    folder_write(folder, "perigee.conf", "port = 81\nworkers = 3\n");
    folder_path(path, folder, "perigee.conf");
    setenv("PERIGEE_PORT", "82", 1);
    assert_int_equal(config_load(&config, path, why, sizeof(why)), 0);
    assert_int_equal(config.port, 82);
    assert_int_equal(config.workers, 3);
}

static void wrong_variable_is_named(void **state) {
    (void)state;
    config_t config;
    setenv("PERIGEE_DEMO_KEYS", "1", 1);
    assert_int_equal(config_load(&config, NULL, why, sizeof(why)), ERR_INVALID);
    assert_non_null(strstr(why, "PERIGEE_DEMO_KEYS: demo_keys must be true or false"));
}

static void file_that_was_asked_for_must_exist(void **state) {
    (void)state;
    config_t config;
    assert_int_equal(
        config_load(&config, "/nowhere/perigee.conf", why, sizeof(why)), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "/nowhere/perigee.conf"));
}

static void json_carries_every_setting(void **state) {
    (void)state;
    config_t config, copy;
    config_default(&config);
    strcpy(config.data, "a \"quoted\" \\ folder\n");
    config.port = 65535;
    config.demo_keys = true;
    config.log_level = LOG_ERROR;
    buf_t json;
    buf_create(&json);
    config_to_json(&config, &json);
    assert_int_equal(config_from_json(&copy, buf_view(&json), why, sizeof(why)), 0);
    assert_memory_equal(&config, &copy, sizeof(config));
    buf_destroy(&json);
}

static void broken_json_is_refused(void **state) {
    (void)state;
    config_t config;
    assert_int_equal(config_from_json(&config, SPAN("{\"port\":"), why, sizeof(why)), ERR_BAD_JSON);
    assert_int_equal(
        config_from_json(&config, SPAN("{\"port\":80}"), why, sizeof(why)), ERR_INVALID);
    assert_int_equal(
        config_from_json(&config, SPAN("{\"prot\":\"80\"}"), why, sizeof(why)), ERR_NOT_FOUND);
}

static void one_key_prints_as_text(void **state) {
    (void)state;
    config_t config;
    config_default(&config);
    buf_t out;
    buf_create(&out);
    assert_true(config_print(&config, SPAN("log_level"), &out));
    assert_true(span_eq(buf_view(&out), SPAN("info")));
    assert_false(config_print(&config, SPAN("log-level"), &out));
    buf_destroy(&out);
}

static void secrets_are_not_shown(void **state) {
    (void)state;
    config_t config, copy;
    buf_t out;
    buf_create(&out);
    config_default(&config);
    assert_true(config_print(&config, SPAN("redis_url"), &out));
    assert_int_equal(out.len, 0);
    assert_int_equal(read_text(&config, "redis_url = redis://u:secret@h:1/0"), 0);
    assert_true(config_print(&config, SPAN("redis_url"), &out));
    assert_true(span_eq(buf_view(&out), SPAN("set")));
    buf_reset(&out);
    config_to_json(&config, &out); /* the worker does get it */
    assert_int_equal(config_from_json(&copy, buf_view(&out), why, sizeof(why)), 0);
    assert_string_equal(copy.redis_url, "redis://u:secret@h:1/0");
    assert_int_not_equal(read_text(&config, "redis_url redis://u:secret@h:1/0"), 0);
    assert_null(strstr(why, "secret"));
    buf_destroy(&out);
}

static void a_wrong_proxy_is_named(void **state) {
    (void)state;
    config_t config;
    config_default(&config);
    assert_int_equal(read_text(&config, "trusted_proxies = 10.0.0.0/8, ::1\n"), 0);
    assert_int_equal(read_text(&config, "\ntrusted_proxies = 10.0.0.0/8, proxy\n"), ERR_INVALID);
    assert_non_null(strstr(why, "perigee.conf:2"));
    assert_non_null(strstr(why, "\"proxy\""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_wrong_proxy_is_named, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(defaults_are_documented_ones, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(
            file_has_comments_spaces_and_crlf, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(
            wrong_key_is_named_with_its_line, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(wrong_values_are_named, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(too_long_text_is_refused, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(environment_wins_over_file, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(wrong_variable_is_named, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(
            file_that_was_asked_for_must_exist, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(json_carries_every_setting, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(broken_json_is_refused, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(one_key_prints_as_text, set_up, own_folder_destroy),
        cmocka_unit_test_setup_teardown(secrets_are_not_shown, set_up, own_folder_destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
