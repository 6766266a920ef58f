/* test_listener.c: accepting up to a limit, without descriptors, on IPv6, and the graceful end. */
#include "rig.h"
#include <sys/resource.h>

static void on_drained(void *data) {
    ((rig_t *)data)->drained++;
}

static void serve_one(rig_t *rig) {
    client_t client;
    client_open(&client, rig);
    client_get(&client, "/now");
    RIG_UNTIL(rig, client_has(&client, "now"));
    close(client.fd);
}

static void test_waits_at_the_limit(void **state) {
    (void)state;
    rig_t rig = {0};
    client_t clients[3];
    net_limits_default(&rig.limits);
    rig.limits.conns_max = 2;
    rig_open(&rig, AF_INET);
    for (int i = 0; i < 3; i++) {
        client_open(&clients[i], &rig);
        client_get(&clients[i], "/now");
    }
    RIG_UNTIL(&rig, client_has(&clients[0], "now") && client_has(&clients[1], "now"));
    for (int i = 0; i < 10; i++)
        loop_turn(rig.loop, 1);
    assert_int_equal(net_count(rig.net), 2);
    assert_int_equal(client_count(&clients[2], "now"), 0);
    close(clients[0].fd);
    RIG_UNTIL(&rig, client_has(&clients[2], "now"));
    close(clients[1].fd);
    close(clients[2].fd);
    rig_stop(&rig);
}

/* With no descriptor left a client is refused at once, not left to hang; service resumes when there are some. */
static void test_survives_without_descriptors(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    struct rlimit before, none;
    rig_start(&rig);
    loop_turn(rig.loop, 0);
    client_open(&client, &rig);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(client.fd);
    assert_true(lowest >= 0);
    close(lowest);
    none = (struct rlimit){(rlim_t)lowest, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    RIG_UNTIL(&rig, client_ended(&client));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(net_count(rig.net), 0);
    close(client.fd);
    serve_one(&rig);
    rig_stop(&rig);
}

static void test_speaks_ipv6(void **state) {
    (void)state;
    rig_t rig = {0};
    client_t client;
    int port = 0, probe = rig_socket(AF_INET6, &port);
    if (probe < 0) skip();
    close(probe);
    net_limits_default(&rig.limits);
    rig_open(&rig, AF_INET6);
    client_open(&client, &rig);
    client_get(&client, "/wait");
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    assert_string_equal(rig.waiting[0]->peer, "::1");
    rig_text(rig.waiting[0], "six");
    RIG_UNTIL(&rig, client_has(&client, "six"));
    close(client.fd);
    rig_stop(&rig);
}

static void test_listens_on_two_sockets(void **state) {
    (void)state;
    rig_t rig;
    rig_start(&rig);
    int first = rig.port, port = 0, second = rig_socket(AF_INET, &port);
    assert_int_equal(net_listen(rig.net, second), 0);
    serve_one(&rig);
    rig.port = port;
    serve_one(&rig);
    rig.port = first;
    close(second);
    rig_stop(&rig);
}

static void test_listen_refuses_what_is_no_descriptor(void **state) {
    (void)state;
    rig_t rig;
    rig_start(&rig);
    assert_true(net_listen(rig.net, -1) < 0);
    rig_stop(&rig);
}

static void test_drains_when_idle(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    RIG_UNTIL(&rig, net_count(rig.net) == 1);
    net_drain(rig.net, 60000, on_drained, &rig);
    assert_int_equal(rig.drained, 0);
    RIG_UNTIL(&rig, rig.drained == 1);
    assert_true(client_ended(&client));
    close(client.fd);
    rig_stop(&rig);
    assert_int_equal(rig.drained, 1);
}

static void test_drain_without_connections(void **state) {
    (void)state;
    rig_t rig;
    rig_start(&rig);
    net_drain(rig.net, 60000, on_drained, &rig);
    RIG_UNTIL(&rig, rig.drained == 1);
    rig_stop(&rig);
}

/* Busy connections end after their answers; the last of them says so. */
static void test_drain_waits_for_answers(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/1");
    client_get(&client, "/2");
    RIG_UNTIL(&rig, rig.nwaiting == 2);
    net_drain(rig.net, 60000, on_drained, &rig);
    for (int i = 0; i < 10; i++)
        loop_turn(rig.loop, 1);
    assert_int_equal(rig.drained, 0);
    rig_text(rig.waiting[0], "first");
    rig_text(rig.waiting[1], "second");
    RIG_UNTIL(&rig, client_ended(&client));
    assert_true(client_has(&client, "first") && client_has(&client, "second"));
    assert_int_equal(client_count(&client, "Connection: close"), 1);
    close(client.fd);
    RIG_UNTIL(&rig, rig.drained == 1);
    assert_int_equal(rig.gone, 0);
    rig_stop(&rig);
}

/* A request that lies in the socket when the drain begins is answered, not reset. */
static void test_drain_answers_what_is_on_its_way(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/now");
    RIG_UNTIL(&rig, client_has(&client, "now"));
    client_get(&client, "/now?again");
    net_drain(rig.net, 60000, on_drained, &rig);
    RIG_UNTIL(&rig, client_ended(&client));
    assert_int_equal(client_count(&client, "HTTP/1.1 200"), 2);
    assert_int_equal(client_count(&client, "Connection: close"), 1);
    close(client.fd);
    RIG_UNTIL(&rig, rig.drained == 1);
    rig_stop(&rig);
}

static void test_drain_resets_what_stays(void **state) {
    (void)state;
    rig_t rig;
    client_t client;
    rig_start(&rig);
    client_open(&client, &rig);
    client_get(&client, "/wait");
    RIG_UNTIL(&rig, rig.nwaiting == 1);
    net_drain(rig.net, 20, on_drained, &rig);
    RIG_UNTIL(&rig, rig.drained == 1);
    assert_int_equal(rig.gone, 1);
    RIG_UNTIL(&rig, client_ended(&client));
    assert_true(client.reset);
    close(client.fd);
    rig_stop(&rig);
}

static void test_delete_lets_go_of_all(void **state) {
    (void)state;
    rig_t rig;
    client_t waiting, partial, idle;
    rig_start(&rig);
    client_open(&waiting, &rig);
    client_open(&partial, &rig);
    client_open(&idle, &rig);
    client_get(&waiting, "/wait");
    client_send(&partial, "GET /wa");
    RIG_UNTIL(&rig, rig.nwaiting == 1 && net_count(rig.net) == 3);
    rig_stop(&rig);
    assert_int_equal(rig.gone, 1);
    assert_true(client_ended(&waiting) && client_ended(&partial) && client_ended(&idle));
    close(waiting.fd);
    close(partial.fd);
    close(idle.fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_at_the_limit),
        cmocka_unit_test(test_survives_without_descriptors),
        cmocka_unit_test(test_speaks_ipv6),
        cmocka_unit_test(test_listens_on_two_sockets),
        cmocka_unit_test(test_listen_refuses_what_is_no_descriptor),
        cmocka_unit_test(test_drains_when_idle),
        cmocka_unit_test(test_drain_without_connections),
        cmocka_unit_test(test_drain_waits_for_answers),
        cmocka_unit_test(test_drain_answers_what_is_on_its_way),
        cmocka_unit_test(test_drain_resets_what_stays),
        cmocka_unit_test(test_delete_lets_go_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
