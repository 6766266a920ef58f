/* test_conn.c: order, depth, departure, deadlines and the cost of a connection, over real sockets in one loop. */
#include "rig.h"
#include <malloc.h>

static void test_answers_at_once(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/now");
    RIG_UNTIL(&rig, client_has(&client, "\r\n\r\nnow"));
    assert_true(client_has(&client, "HTTP/1.1 200 OK\r\nDate: "));
    assert_true(client_has(&client, "Content-Length: 3\r\n"));
    close(client.fd);
    RIG_UNTIL(&rig, net_count(rig.net) == 0);
    assert_int_equal(rig.gone, 0);
    rig_stop(&rig);
}

static void test_keeps_the_order_of_answers(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/1");
    client_get(&client, "/2");
    client_get(&client, "/now");
    RIG_UNTIL(&rig, rig.asked == 3);
    rig_text(rig.waiting[1], "second");
    for (int i = 0; i < 5; i++)
        loop_turn(rig.loop, 0);
    client_pump(&client);
    assert_int_equal(client.len, 0);
    rig_text(rig.waiting[0], "first");
    RIG_UNTIL(&rig, client_count(&client, "HTTP/1.1 200") == 3);
    const char *first = strstr(client.got, "first"), *second = strstr(client.got, "second");
    assert_true(first != NULL && second != NULL && first < second);
    assert_true(second < strstr(client.got, "\r\n\r\nnow"));
    close(client.fd);
    rig_stop(&rig);
}

static void test_answers_once(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/wait");
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    rig_text(rig.waiting[0], "one");
    rig_text(rig.waiting[0], "two");
    RIG_UNTIL(&rig, rig.ended == 1);
    assert_true(client_has(&client, "one"));
    assert_false(client_has(&client, "two"));
    close(client.fd);
    rig_stop(&rig);
}

static void test_keeps_what_the_request_said(void **state) {
    (void)state;
    rig_t rig;
    client_t client, other;
    rig_start(&rig);
    client_open(&client, &rig);
    client_open(&other, &rig);
    client_send(&client, "POST /wait?a=b HTTP/1.1\r\nHost: Shop.x\r\nX-One: first\r\n"
                         "Empty:\r\nContent-Length: 4\r\n\r\nbody");
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    /* Another connection's bytes overwrite the shared read buffer. */
    client_send(&other, "GET /now?zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz "
                        "HTTP/1.1\r\nHost: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n");
    RIG_UNTIL(&rig, client_has(&other, "now"));
    exchange_t *x = rig.waiting[0];
    assert_true(x->kept);
    assert_int_equal(x->method, METHOD_POST);
    assert_true(span_eq(x->target, SPAN("/wait?a=b")) && span_eq(x->path, SPAN("/wait")));
    assert_true(span_eq(x->query, SPAN("a=b")) && span_eq(x->body, SPAN("body")));
    assert_true(span_eq(x->host, SPAN("shop.x")) && strcmp(x->peer, "127.0.0.1") == 0);
    assert_true(span_eq(exchange_header(x, SPAN("x-one")), SPAN("first")));
    assert_non_null(exchange_header(x, SPAN("empty")).ptr);
    assert_null(exchange_header(x, SPAN("missing")).ptr);
    assert_true(x->started_ns > 0);
    rig_text(x, "done");
    RIG_UNTIL(&rig, client_has(&client, "done"));
    close(client.fd);
    close(other.fd);
    rig_stop(&rig);
}

static void test_stops_at_a_full_pipeline(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    for (int i = 0; i < 20; i++)
        client_get(&client, "/wait");
    RIG_UNTIL(&rig, rig.asked == 16);
    for (int i = 0; i < 10; i++)
        loop_turn(rig.loop, 1);
    assert_int_equal(rig.asked, 16);
    for (int i = 0; i < 16; i++)
        rig_text(rig.waiting[i], "done");
    RIG_UNTIL(&rig, rig.asked == 20);
    for (int i = 16; i < 20; i++)
        rig_text(rig.waiting[i], "done");
    RIG_UNTIL(&rig, client_count(&client, "HTTP/1.1 200") == 20);
    close(client.fd);
    rig_stop(&rig);
}

static void test_tells_who_left(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    struct linger at_once = {1, 0};
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/wait");
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(client.fd);
    RIG_UNTIL(&rig, rig.gone == 1);
    assert_int_equal(rig.ended, 1);
    RIG_UNTIL(&rig, net_count(rig.net) == 0);
    rig_stop(&rig);
}

static void test_answers_after_half_close(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/wait");
    shutdown(client.fd, SHUT_WR);
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    for (int i = 0; i < 10; i++)
        loop_turn(rig.loop, 1);
    assert_int_equal(rig.gone, 0);
    rig_text(rig.waiting[0], "late");
    RIG_UNTIL(&rig, client_ended(&client));
    assert_true(client_has(&client, "Connection: close") && client_has(&client, "late"));
    close(client.fd);
    RIG_UNTIL(&rig, net_count(rig.net) == 0);
    rig_stop(&rig);
}

static void test_closing_answer_drops_the_rest(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/1");
    client_get(&client, "/2");
    RIG_UNTIL(&rig, rig.nwaiting == 2);
    answer_t answer = {.status = 503, .close = true};
    exchange_answer(rig.waiting[0], &answer);
    RIG_UNTIL(&rig, client_ended(&client));
    assert_int_equal(rig.gone, 1);
    assert_int_equal(client_count(&client, "HTTP/1.1 "), 1);
    close(client.fd);
    rig_stop(&rig);
}

static void test_invites_the_body(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_send(&client, "POST /now HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n"
                         "Content-Length: 2\r\n\r\n");
    RIG_UNTIL(&rig, client_has(&client, "HTTP/1.1 100 Continue\r\n\r\n"));
    assert_int_equal(rig.asked, 0);
    client_send(&client, "ab");
    RIG_UNTIL(&rig, client_has(&client, "HTTP/1.1 200 OK"));
    assert_int_equal(client_count(&client, "100 Continue"), 1);
    close(client.fd);
    rig_stop(&rig);
}

static void test_invites_in_order(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/wait");
    client_send(&client, "POST /now HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                         "Content-Length: 2\r\n\r\n");
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    for (int i = 0; i < 10; i++)
        loop_turn(rig.loop, 1);
    assert_false(client_has(&client, "100 Continue"));
    rig_text(rig.waiting[0], "first");
    RIG_UNTIL(&rig, client_has(&client, "100 Continue"));
    assert_true(strstr(client.got, "first") < strstr(client.got, "100 Continue"));
    close(client.fd);
    rig_stop(&rig);
}

static void test_ends_after_so_many_requests(void **state) {
    (void)state;
    rig_t rig = {0};
    client_t client;
    net_limits_default(&rig.limits);
    rig.limits.requests_max = 3;
    rig_open(&rig, AF_INET);
    client_open(&client, &rig);
    for (int i = 0; i < 5; i++)
        client_get(&client, "/now");
    RIG_UNTIL(&rig, client_ended(&client));
    assert_int_equal(rig.asked, 3);
    assert_int_equal(client_count(&client, "HTTP/1.1 200"), 3);
    assert_int_equal(client_count(&client, "Connection: close"), 1);
    close(client.fd);
    rig_stop(&rig);
}

/* Opens a rig whose waits are short, sends text, and waits for the server's end. */
static void expire(const char *text, client_t *client, rig_t *rig) {
    memset(rig, 0, sizeof *rig);
    net_limits_default(&rig->limits);
    rig->limits.head_ms = rig->limits.idle_ms = 40;
    rig_open(rig, AF_INET);
    client_open(client, rig);
    client_send(client, text);
    RIG_UNTIL(rig, client_ended(client));
    close(client->fd);
    RIG_UNTIL(rig, net_count(rig->net) == 0);
    rig_stop(rig);
}

static void test_head_has_a_deadline(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    expire("GET / HTTP/1.1\r\nHost: x\r\n", &client, &rig);
    assert_true(client_has(&client, "HTTP/1.1 408 Request Timeout\r\n"));
    assert_true(client_has(&client, "Connection: close\r\n"));
    assert_int_equal(rig.last_refusal, ERR_REQUEST_TIMEOUT);
}

static void test_body_has_a_least_rate(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    expire("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", &client, &rig);
    assert_true(client_has(&client, "HTTP/1.1 408 Request Timeout\r\n"));
    assert_int_equal(rig.asked, 0);
}

static void test_idle_connection_ends_without_a_word(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    expire("", &client, &rig);
    assert_int_equal(client.len, 0);
    expire("GET /now HTTP/1.1\r\nHost: x\r\n\r\n", &client, &rig);
    assert_int_equal(client_count(&client, "HTTP/1.1 "), 1);
    assert_false(client.reset);
}

static void test_waiting_request_is_not_idle(void **state) {
    (void)state;
    rig_t rig = {0};
    client_t client, idle;
    net_limits_default(&rig.limits);
    rig.limits.idle_ms = 40;
    rig_open(&rig, AF_INET);
    client_open(&client, &rig);
    client_get(&client, "/wait");
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    client_open(&idle, &rig);
    RIG_UNTIL(&rig, client_ended(&idle));
    assert_int_equal(rig.gone, 0);
    rig_text(rig.waiting[0], "late");
    RIG_UNTIL(&rig, client_has(&client, "late"));
    close(client.fd);
    close(idle.fd);
    rig_stop(&rig);
}

static char *large_text(size_t len) {
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'z', len);
    text[len] = 0;
    return text;
}

static void test_reader_that_stalls_is_reset(void **state) {
    (void)state;
    rig_t rig = {0};
    client_t client;
    net_limits_default(&rig.limits);
    rig.limits.write_ms = 40;
    rig_open(&rig, AF_INET);
    client_open(&client, &rig);
    client_get(&client, "/wait");
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    char *text = large_text(32 * 1024 * 1024);
    rig_text(rig.waiting[0], text);
    free(text);
    RIG_UNTIL(&rig, net_count(rig.net) == 0);
    close(client.fd);
    rig_stop(&rig);
}

static void test_unread_answers_stop_the_reading(void **state) {
    (void)state;
    rig_t rig = {0};
    client_t client;
    net_limits_default(&rig.limits);
    rig.limits.out_max = 1000;
    rig_open(&rig, AF_INET);
    client_open(&client, &rig);
    client_get(&client, "/wait");
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    size_t len = 32 * 1024 * 1024, all = 0;
    char *text = large_text(len);
    rig_text(rig.waiting[0], text);
    free(text);
    RIG_UNTIL(&rig, rig.ended == 1);
    client_get(&client, "/now");
    for (int i = 0; i < 10; i++)
        loop_turn(rig.loop, 1);
    assert_int_equal(rig.asked, 1);
    /* Once the client reads, the second request is served. */
    RIG_UNTIL(&rig, (client.len = 0, client_pump(&client), all += client.len, all > len));
    RIG_UNTIL(&rig, rig.asked == 2);
    close(client.fd);
    rig_stop(&rig);
}

static void test_refused_request_still_reads_its_bytes(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_send(&client, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n");
    char *text = large_text(20000);
    client_send(&client, text);
    free(text);
    RIG_UNTIL(&rig, client_ended(&client));
    assert_true(client_has(&client, "HTTP/1.1 413 "));
    assert_false(client.reset);
    close(client.fd);
    rig_stop(&rig);
}

static void test_refusals_count_no_exchange(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/wait");
    client_send(&client, "BAD\r\n\r\n");
    RIG_UNTIL(&rig, rig.refused == 1);
    rig_text(rig.waiting[0], "first");
    RIG_UNTIL(&rig, client_ended(&client));
    assert_true(strstr(client.got, "first") < strstr(client.got, "HTTP/1.1 400"));
    assert_true(client_has(&client, "Content-Type: application/problem+json\r\n"));
    assert_int_equal(rig.ended, 1);
    close(client.fd);
    rig_stop(&rig);
}

#ifndef PERIGEE_SANITIZE /* whose allocator does not tell */
#define IDLE 100

/* At most 4 KB of heap for a connection that has had a request answered and now waits. */
static void test_idle_connection_costs_little(void **state) {
    (void)state;
    static client_t clients[IDLE + 1];
    rig_t rig;
    rig_start(&rig);
    /* The first one pays for what all share. */
    client_open(&clients[IDLE], &rig);
    client_get(&clients[IDLE], "/now");
    RIG_UNTIL(&rig, client_has(&clients[IDLE], "now"));
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < IDLE; i++) {
        client_open(&clients[i], &rig);
        client_get(&clients[i], "/now");
        RIG_UNTIL(&rig, client_has(&clients[i], "now"));
    }
    assert_int_equal(net_count(rig.net), IDLE + 1);
    size_t each = (mallinfo2().uordblks - before) / IDLE;
    assert_in_range(each, 1, 4096);
    for (int i = 0; i <= IDLE; i++)
        close(clients[i].fd);
    rig_stop(&rig);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_at_once),
        cmocka_unit_test(test_keeps_the_order_of_answers),
        cmocka_unit_test(test_answers_once),
        cmocka_unit_test(test_keeps_what_the_request_said),
        cmocka_unit_test(test_stops_at_a_full_pipeline),
        cmocka_unit_test(test_tells_who_left),
        cmocka_unit_test(test_answers_after_half_close),
        cmocka_unit_test(test_closing_answer_drops_the_rest),
        cmocka_unit_test(test_invites_the_body),
        cmocka_unit_test(test_invites_in_order),
        cmocka_unit_test(test_ends_after_so_many_requests),
        cmocka_unit_test(test_head_has_a_deadline),
        cmocka_unit_test(test_body_has_a_least_rate),
        cmocka_unit_test(test_idle_connection_ends_without_a_word),
        cmocka_unit_test(test_waiting_request_is_not_idle),
        cmocka_unit_test(test_reader_that_stalls_is_reset),
        cmocka_unit_test(test_unread_answers_stop_the_reading),
        cmocka_unit_test(test_refused_request_still_reads_its_bytes),
        cmocka_unit_test(test_refusals_count_no_exchange),
#ifndef PERIGEE_SANITIZE
        cmocka_unit_test(test_idle_connection_costs_little),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
