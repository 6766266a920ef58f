/* test_http_mailer.c: letters to a server that never speaks: their ends, each once, and what is not even begun. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/err.h"
#include "http/mailer.h"

#define LONG_MS 3600000
#define MANY 120 /* more than are sent at once and wait */

typedef struct call {
    letter_t letter;
    int done;
} call_t;

static const char *const to[] = {"ada@example.com"};
static loop_t *loop;
static mailer_t *mailer;
static int listener;

static int set_up(void **state) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    mail_server_t server;
    char url[64], why[200];
    (void)state;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 64) ||
        getsockname(listener, (struct sockaddr *)&at, &size))
        return -1;
    snprintf(url, sizeof url, "smtp://127.0.0.1:%d", ntohs(at.sin_port));
    loop = loop_new();
    if (mail_server_read(&server, url, why, sizeof why)) return -1;
    mailer = mailer_new(loop, &server);
    return mailer ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    if (loop) loop_delete(loop);
    loop = NULL;
    return close(listener);
}

static void on_done(letter_t *letter) {
    LIST_OWNER(letter, call_t, letter)->done++;
}

static void prepare(call_t *call, uint64_t timeout_ms) {
    memset(call, 0, sizeof *call);
    call->letter.mail = (mail_t){.id = "a",
        .from = "shop@platform.example",
        .to = to,
        .nto = 1,
        .subject = "Hello",
        .text = SPAN("Hi")};
    call->letter.timeout_ms = timeout_ms;
    call->letter.done = on_done;
}

static void start(call_t *call, uint64_t timeout_ms) {
    prepare(call, timeout_ms);
    assert_int_equal(mailer_send(mailer, &call->letter), 0);
    assert_int_equal(call->done, 0);
}

static void assert_ends(const call_t *call, int err) {
    while (!call->done)
        loop_turn(loop, LONG_MS);
    assert_int_equal(call->done, 1);
    assert_string_equal(err_name(call->letter.err), err_name(err));
    assert_true(call->letter.detail[0] != '\0');
}

/* The server has been connected to. */
static void await_connection(void) {
    int connection = accept(listener, NULL, NULL);
    assert_true(connection >= 0);
    close(connection);
}

static void a_letter_has_its_time(void **state) {
    call_t call;
    (void)state;
    start(&call, 30);
    assert_ends(&call, ERR_TIMEOUT);
}

static void a_letter_can_be_let_go(void **state) {
    call_t call;
    (void)state;
    start(&call, LONG_MS);
    mailer_cancel(&call.letter);
    assert_ends(&call, ERR_CANCELLED);
}

static void a_server_that_hangs_up_may_be_tried_again(void **state) {
    call_t call;
    (void)state;
    start(&call, LONG_MS);
    await_connection();
    assert_ends(&call, ERR_UNAVAILABLE);
}

static void a_wrong_letter_is_not_begun(void **state) {
    call_t call;
    (void)state;
    prepare(&call, LONG_MS);
    call.letter.mail.subject = "a\r\nBcc: x@example.com";
    assert_int_equal(mailer_send(mailer, &call.letter), ERR_INVALID);
    assert_true(call.letter.detail[0] != '\0');
    loop_turn(loop, 0);
    assert_int_equal(call.done, 0);
}

static void what_waits_is_bounded_and_ends_with_the_loop(void **state) {
    call_t *calls = calloc(MANY, sizeof *calls);
    int begun = 0, err = 0;
    (void)state;
    while (begun < MANY && !err) {
        prepare(&calls[begun], LONG_MS);
        err = mailer_send(mailer, &calls[begun].letter);
        if (!err) begun++;
    }
    assert_int_equal(err, ERR_BUSY);
    assert_true(begun >= 100);
    mailer_cancel(&calls[begun - 1].letter); /* one that waits still */
    assert_ends(&calls[begun - 1], ERR_CANCELLED);
    loop_delete(loop);
    loop = NULL;
    for (int i = 0; i < begun - 1; i++) {
        assert_int_equal(calls[i].done, 1);
        assert_true(calls[i].letter.err == ERR_CLOSED);
    }
    free(calls);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_letter_has_its_time),
        TEST(a_letter_can_be_let_go),
        TEST(a_server_that_hangs_up_may_be_tried_again),
        TEST(a_wrong_letter_is_not_begun),
        TEST(what_waits_is_bounded_and_ends_with_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
