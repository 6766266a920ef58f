/* test_log.c: lines are whole JSON objects, gathered, and never below the least level. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"

static int ends[2];

static int open_pipe(void **state) {
    (void)state;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
    log_open(ends[1], LOG_INFO);
    return 0;
}

static int close_pipe(void **state) {
    (void)state;
    log_open(STDERR_FILENO, LOG_INFO);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* What stands in the pipe now, "" when nothing does. */
static const char *written(void) {
    static char text[4096];
    ssize_t got = read(ends[0], text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void lines_are_objects(void **state) {
    (void)state;
    log_event(LOG_INFO, "started", "\"port\":%d", 8080);
    log_flush();
    const char *line = written();
    assert_memory_equal(line, "{\"time\":\"20", 11);
    assert_string_equal(
        strstr(line, "\"level\""), "\"level\":\"info\",\"event\":\"started\",\"port\":8080}\n");
    buf_t *own = log_begin(LOG_INFO, "a \"b\"");
    buf_text(own, ",\"n\":1");
    log_end();
    log_flush();
    assert_string_equal(
        strstr(written(), "\"level\""), "\"level\":\"info\",\"event\":\"a \\\"b\\\"\",\"n\":1}\n");
}

static void warnings_flush_what_has_gathered(void **state) {
    (void)state;
    log_event(LOG_INFO, "first", NULL);
    log_event(LOG_WARN, "second", NULL);
    const char *text = written();
    assert_non_null(strstr(text, "\"first\"}\n"));
    assert_non_null(strstr(text, "\"second\"}\n"));
}

static void lower_levels_cost_nothing(void **state) {
    (void)state;
    assert_null(log_begin(LOG_DEBUG, "detail"));
    log_event(LOG_DEBUG, "detail", NULL);
    log_flush();
    assert_string_equal(written(), "");
}

static void a_full_pipe_loses_lines_and_says_so(void **state) {
    (void)state;
    char filler[1024];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    for (int i = 0; i < 3000; i++) /* more than the pipe and the backlog hold */
        log_event(LOG_WARN, "filler", "\"x\":\"%s\"", filler);
    for (int i = 0; i < 1000 && *written(); i++)
        log_flush();
    log_event(LOG_WARN, "after", NULL);
    assert_non_null(strstr(written(), "\"event\":\"after\",\"lost_lines\":"));
}

static void a_fork_does_not_write_twice(void **state) {
    (void)state;
    log_event(LOG_INFO, "before", NULL);
    pid_t child = fork();
    if (child == 0) {
        log_flush();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    log_flush();
    const char *text = written();
    const char *first = strstr(text, "\"before\"");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\"before\""));
}

static void levels_have_names(void **state) {
    (void)state;
    log_level_t level;
    assert_true(log_level_find("warn", &level));
    assert_int_equal(level, LOG_WARN);
    assert_false(log_level_find("loud", &level));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_objects, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(warnings_flush_what_has_gathered, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(lower_levels_cost_nothing, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(a_full_pipe_loses_lines_and_says_so, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(a_fork_does_not_write_twice, open_pipe, close_pipe),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
