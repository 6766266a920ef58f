/* test_slots.c: what the master makes of its workers' words, their silence and their ends, and of an empty slot. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include "base/err.h"
#include "core/slots_rig.h"

static rig_t rig;
static poller_t poller;

static int set_up(void **state) {
    (void)state;
    rig_open(&rig);
    poller_create(&poller);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    poller_destroy(&poller);
    rig_close(&rig);
    return 0;
}

/* One round of the master, which has something to read. */
static void hear(void) {
    poller_clear(&poller);
    slots_watch(&rig.slots, &poller);
    poller_wait(&poller);
}

static void say(int index, const char *line) {
    assert_int_equal(line_write(&rig.workers[index], span_of(line)), 0);
    hear();
}

static void a_worker_is_ready_when_it_says_so(void **state) {
    (void)state;
    rig.slots.all[0].state = SLOT_STARTING;
    assert_int_equal(slots_ready(&rig.slots), 2);
    say(0, "{\"did\":\"ready\"}\n");
    assert_int_equal(rig.ready, 1);
    assert_int_equal(slots_ready(&rig.slots), 3);
    say(0, "{\"did\":\"alive\"}\n");
    assert_int_equal(rig.messages, 0);
    say(0, "{\"did\":\"commit\",\"id\":3,\"ok\":true}\n");
    assert_int_equal(rig.messages, 1);
    assert_string_equal(rig.verb, "commit");
}

static void nonsense_and_a_lost_line_end_a_worker(void **state) {
    (void)state;
    say(0, "nonsense\n");
    assert_int_equal(rig.slots.all[0].state, SLOT_DOOMED);
    say(1, "{\"do\":\"drain\"}\n"); /* workers do not give orders */
    assert_int_equal(rig.slots.all[1].state, SLOT_DOOMED);
    line_destroy(&rig.workers[2]);
    hear();
    assert_int_equal(rig.slots.all[2].state, SLOT_DOOMED);
    line_create(&rig.workers[2], -1);
    assert_int_equal(slots_alive(&rig.slots), 3); /* until they have been reaped */
    for (int i = 0; i < RIG_WORKERS; i++)
        assert_true(WTERMSIG(rig_reap(&rig, i)) == SIGKILL);
    assert_int_equal(rig.lost, 3);
    assert_int_equal(slots_alive(&rig.slots), 0);
}

static void another_process_is_no_worker(void **state) {
    (void)state;
    assert_false(slots_reaped(&rig.slots, getpid(), 0));
    assert_int_equal(rig.lost, 0);
}

/* Silence is counted in the master's rounds. */
static void a_silent_worker_is_stuck_and_one_that_speaks_is_not(void **state) {
    (void)state;
    uint64_t now = poller_now();
    for (int round = 0; round < 4; round++)
        slots_tick(&rig.slots, now += rig.slots.stuck_ms);
    say(0, "{\"did\":\"alive\"}\n");
    slots_tick(&rig.slots, now += 1); /* too soon to be a round */
    assert_int_equal(slots_ready(&rig.slots), 3);
    for (int round = 0; round < 2; round++)
        slots_tick(&rig.slots, now += rig.slots.stuck_ms);
    assert_int_equal(rig.slots.all[0].state, SLOT_READY);
    assert_int_equal(rig.slots.all[1].state, SLOT_DOOMED);
    assert_int_equal(rig.slots.all[2].state, SLOT_DOOMED);
}

static void one_that_never_gets_ready_is_stuck_too(void **state) {
    (void)state;
    rig.slots.all[0].state = SLOT_STARTING;
    slots_tick(&rig.slots, poller_now() + 3600000);
    assert_int_equal(rig.slots.all[0].state, SLOT_DOOMED);
}

static void only_the_living_can_be_told(void **state) {
    (void)state;
    message_t message = {.verb = "settings", .tenant = "acme", .fd = -1};
    assert_int_equal(slot_send(&rig.slots.all[0], &message), 0);
    assert_string_equal(rig_heard(&rig, 0), "settings");
    slot_doom(&rig.slots.all[0], "worker_stuck");
    assert_int_equal(slot_send(&rig.slots.all[0], &message), ERR_CLOSED);
}

/* A worker that reads nothing has missed a message once its queue is full. */
static void a_deaf_worker_is_ended(void **state) {
    (void)state;
    static char path[500000];
    memset(path, 'p', sizeof path - 1);
    message_t message = {.verb = "scripts", .path = path, .fd = -1};
    int err = 0;
    for (int i = 0; i < 100 && !err; i++)
        err = slot_send(&rig.slots.all[0], &message);
    assert_int_equal(err, ERR_BUSY);
    assert_int_equal(rig.slots.all[0].state, SLOT_DOOMED);
}

/* While a slot rests after many deaths, a sibling serves its queue, once. */
static void an_empty_slot_is_lent(void **state) {
    (void)state;
    slot_t *slot = &rig.slots.all[0];
    int pipe_ends[2];
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    rig.slots.nfds = 1;
    slot->fds[0] = pipe_ends[0];
    slot_doom(slot, "worker_stuck");
    rig_reap(&rig, 0);
    slot->deaths = SLOT_DEATHS;
    uint64_t now = slot->since_ms;
    for (int i = 0; i < SLOT_DEATHS; i++)
        slot->deaths_ms[i] = now;
    slots_tick(&rig.slots, now + SLOT_LEND_MS - 1);
    assert_string_equal(rig_heard(&rig, 1), "");
    slots_tick(&rig.slots, now + SLOT_LEND_MS);
    slots_tick(&rig.slots, now + SLOT_LEND_MS + 1);
    assert_string_equal(rig_heard(&rig, 1), "accept");
    int fd = line_take_fd(&rig.workers[1]);
    assert_true(fd >= 0);
    close(fd);
    close(pipe_ends[1]);
    assert_int_equal(rig.started, 0);
}

static void leaving_tells_all_and_replaces_nobody(void **state) {
    (void)state;
    slots_drain(&rig.slots);
    for (int i = 0; i < RIG_WORKERS; i++)
        assert_string_equal(rig_heard(&rig, i), "drain");
    for (int i = 0; i < RIG_WORKERS; i++) {
        kill(rig.slots.all[i].pid, SIGKILL);
        rig_reap(&rig, i);
    }
    slots_tick(&rig.slots, poller_now() + 3600000);
    assert_int_equal(rig.started, 0);
    assert_int_equal(slots_alive(&rig.slots), 0);
}

static int descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1000; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void sockets_are_opened_for_every_slot_and_closed_again(void **state) {
    (void)state;
    slots_t slots;
    listen_set_t listen;
    config_t config;
    char why[300];
    int before = descriptors();
    config_default(&config);
    config.port = 0;
    config.workers = 3;
    assert_int_equal(listen_find(&config, &listen, why, sizeof why), 0);
    assert_int_equal(
        slots_create(&slots, &config, &listen, rig.slots.ops, &rig, why, sizeof why), 0);
    assert_int_equal(descriptors(), before + 3);
    slots_destroy(&slots);
    assert_int_equal(descriptors(), before);
    ((struct sockaddr_in *)&listen.addresses[0].any)->sin_addr.s_addr =
        htonl(0xC0000201); /* 192.0.2.1: not ours */
    assert_int_equal(slots_create(&slots, &config, &listen, rig.slots.ops, &rig, why, sizeof why),
        ERR_UNAVAILABLE);
    assert_non_null(strstr(why, "cannot listen on"));
    assert_int_equal(descriptors(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_worker_is_ready_when_it_says_so),
        TEST(nonsense_and_a_lost_line_end_a_worker),
        TEST(another_process_is_no_worker),
        TEST(a_silent_worker_is_stuck_and_one_that_speaks_is_not),
        TEST(one_that_never_gets_ready_is_stuck_too),
        TEST(only_the_living_can_be_told),
        TEST(a_deaf_worker_is_ended),
        TEST(an_empty_slot_is_lent),
        TEST(leaving_tells_all_and_replaces_nobody),
        TEST(sockets_are_opened_for_every_slot_and_closed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
