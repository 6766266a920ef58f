/* test_answer.c: the bytes of an answer: reasons, header lines, and statuses without a body. */
#include "rig.h"

static void answer_with(const answer_t *answer, client_t *client) {
    rig_t rig;
    rig_start(&rig);
    client_open(client, &rig);
    client_get(client, "/wait");
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    exchange_answer(rig.waiting[0], answer);
    exchange_t *x = rig.waiting[0];
    assert_true(x->answered);
    assert_int_equal(x->status, answer->status);
    size_t sent = x->sent;
    RIG_UNTIL(&rig, client_has(client, "\r\n\r\n") && client->len >= sent);
    assert_int_equal(client->len, sent);
    close(client->fd);
    rig_stop(&rig);
}

static void test_puts_the_caller_s_lines(void **state) {
    (void)state;
    client_t client;
    answer_t answer = {.status = 201,
        .type = SPAN("application/json"),
        .headers = SPAN("Location: /a\r\nETag: \"1\"\r\n"),
        .body = SPAN("{}")};
    answer_with(&answer, &client);
    assert_true(client_has(&client, "HTTP/1.1 201 Created\r\nDate: "));
    assert_true(client_has(&client, " GMT\r\nContent-Type: application/json\r\n"));
    assert_true(
        client_has(&client, "\r\nLocation: /a\r\nETag: \"1\"\r\nContent-Length: 2\r\n\r\n{}"));
}

static void test_304_has_no_length(void **state) {
    (void)state;
    client_t client;
    answer_t answer = {.status = 304, .headers = SPAN("ETag: \"1\"\r\n"), .body = SPAN("dropped")};
    answer_with(&answer, &client);
    assert_true(client_has(&client, "HTTP/1.1 304 Not Modified\r\n"));
    assert_false(client_has(&client, "Content-Length") || client_has(&client, "dropped"));
}

static void test_unknown_status_has_no_reason(void **state) {
    (void)state;
    client_t client;
    answer_t answer = {.status = 299};
    answer_with(&answer, &client);
    assert_true(client_has(&client, "HTTP/1.1 299 \r\n"));
    assert_true(client_has(&client, "Content-Length: 0\r\n"));
}

static void test_every_error_has_a_reason(void **state) {
    (void)state;
    for (int err = 1; err < ERR_COUNT; err++)
        assert_string_not_equal(exchange_reason(err_status(err)), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_puts_the_caller_s_lines),
        cmocka_unit_test(test_304_has_no_length),
        cmocka_unit_test(test_unknown_status_has_no_reason),
        cmocka_unit_test(test_every_error_has_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
