/* test_channel.c: messages between master and worker: pieces, bounds, descriptors, and the other side's end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"
#include "channel.h"
#include "line.h"

/* The worker's end is a channel on a loop; the test plays the master on a line of its own. */
static loop_t *loop;
static channel_t *channel;
static line_t master;
static int messages, ends;
static message_t last;
static char last_verb[32], last_path[64], last_error[64];
static ino_t last_inode;

static void on_message(void *data, const message_t *message) {
    (void)data;
    if (!message) {
        ends++;
        channel = NULL;
        return;
    }
    messages++;
    last = *message;
    snprintf(last_verb, sizeof(last_verb), "%s", message->verb);
    snprintf(last_path, sizeof(last_path), "%s", message->path ? message->path : "");
    snprintf(last_error, sizeof(last_error), "%s", message->error ? message->error : "");
    struct stat info = {0};
    if (message->fd >= 0) fstat(message->fd, &info);
    last_inode = info.st_ino;
}

static int set_up(void **state) {
    (void)state;
    int pair[2];
    messages = ends = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    loop = loop_new();
    line_create(&master, pair[0]);
    channel = channel_open(loop, pair[1], on_message, NULL);
    assert_non_null(channel);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (channel) channel_close(channel);
    line_destroy(&master);
    loop_delete(loop);
    return 0;
}

static void turn_until(const int *count, int value) {
    for (int i = 0; i < 10000 && *count < value; i++) {
        loop_turn(loop, 10);
    }
    assert_int_equal(*count, value);
}

static void say(const char *text) {
    assert_int_equal(line_write(&master, span_of(text)), 0);
}

static void on_master_line(void *data, span_t line) {
    message_t *out = data;
    static arena_t arena;
    arena_destroy(&arena);
    assert_int_equal(message_parse(line, &arena, out), 0);
    messages++;
    snprintf(last_verb, sizeof(last_verb), "%s", out->verb);
    snprintf(last_error, sizeof(last_error), "%s", out->error ? out->error : "");
    arena_destroy(&arena);
}

static void order_arrives_with_its_fields(void **state) {
    (void)state;
    say("{\"do\":\"rules\",\"id\":7,\"tenant\":\"acme\",\"path\":\"var/"
        "x.json\",\"hash\":\"abc\"}\n");
    turn_until(&messages, 1);
    assert_string_equal(last_verb, "rules");
    assert_string_equal(last_path, "var/x.json");
    assert_int_equal(last.id, 7);
    assert_false(last.answer);
    assert_int_equal(last.fd, -1);
}

static void orders_arrive_in_order_however_they_are_cut(void **state) {
    (void)state;
    static const char TEXT[] =
        "{\"do\":\"scripts\",\"id\":1}\n{\"do\":\"commit\",\"id\":2}\n{\"do\":\"drop\",\"id\":3}\n";
    for (size_t i = 0; i < sizeof(TEXT) - 1; i++) {
        assert_int_equal(line_write(&master, (span_t){TEXT + i, 1}), 0);
        loop_turn(loop, 0);
    }
    turn_until(&messages, 3);
    assert_string_equal(last_verb, "drop");
    assert_int_equal(last.id, 3);
}

static void answer_reaches_the_master(void **state) {
    (void)state;
    message_t refusal = {.verb = "scripts",
        .answer = true,
        .id = 9,
        .ok = false,
        .error = "a.lua:3: \"x\"\n",
        .fd = -1};
    message_t seen;
    assert_int_equal(channel_send(channel, &refusal), 0);
    assert_int_equal(line_read(&master, on_master_line, &seen), 0);
    assert_int_equal(messages, 1);
    assert_true(seen.answer);
    assert_false(seen.ok);
    assert_int_equal(seen.id, 9);
    assert_string_equal(last_error, "a.lua:3: \"x\"\n");
}

static void silence_does_not_keep_the_loop_alive(void **state) {
    (void)state;
    loop_run(loop);
}

static void master_that_goes_is_told_once(void **state) {
    (void)state;
    shutdown(master.fd, SHUT_RDWR);
    turn_until(&ends, 1);
    loop_turn(loop, 0);
    assert_int_equal(ends, 1);
}

static void last_orders_are_read_before_the_end(void **state) {
    (void)state;
    say("{\"do\":\"drain\"}\n");
    shutdown(master.fd, SHUT_RDWR);
    turn_until(&ends, 1);
    assert_int_equal(messages, 1);
}

static void nonsense_ends_the_channel(void **state) {
    (void)state;
    say("{\"do\":\n");
    turn_until(&ends, 1);
    assert_int_equal(messages, 0);
}

static void line_without_end_is_bounded(void **state) {
    (void)state;
    static char block[64 * 1024];
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 64 && !ends; i++) {
        if (line_write(&master, (span_t){block, sizeof(block)}) != 0) break;
        loop_turn(loop, 0);
    }
    turn_until(&ends, 1);
}

static void queue_is_bounded_and_recovers(void **state) {
    (void)state;
    static char text[512 * 1024];
    memset(text, 'y', sizeof(text) - 1);
    message_t big = {.verb = "log", .answer = true, .error = text, .fd = -1};
    int sent = 0, err = 0;
    while ((err = channel_send(channel, &big)) == 0) {
        assert_true(++sent < 100);
    }
    assert_int_equal(err, ERR_BUSY);
    message_t seen;
    while (messages < sent) {
        assert_int_equal(line_read(&master, on_master_line, &seen), 0);
        loop_turn(loop, 1);
    }
    assert_int_equal(channel_send(channel, &big), 0);
}

static void descriptor_travels_beside_its_order(void **state) {
    (void)state;
    int pipes[2];
    struct stat info;
    assert_int_equal(pipe(pipes), 0);
    fstat(pipes[0], &info);
    say("{\"do\":\"settings\"}\n");
    assert_int_equal(line_write_fd(&master, SPAN("{\"do\":\"accept\"}\n"), pipes[0]), 0);
    say("{\"do\":\"settings\"}\n");
    turn_until(&messages, 3);
    assert_int_equal(last.fd, -1);
    assert_int_equal(line_write_fd(&master, SPAN("{\"do\":\"accept\"}\n"), pipes[0]), 0);
    turn_until(&messages, 4);
    assert_true(last.fd >= 0);
    assert_int_equal(last_inode, info.st_ino);
    assert_int_equal(fcntl(last.fd, F_GETFD), -1);
    close(pipes[0]);
    close(pipes[1]);
}

static void closed_channel_sends_nothing(void **state) {
    (void)state;
    message_t alive = {.verb = "alive", .answer = true, .ok = true, .fd = -1};
    channel_t *closed = channel;
    channel_close(channel);
    channel = NULL;
    assert_int_equal(channel_send(closed, &alive), ERR_CLOSED);
    say("{\"do\":\"drain\"}\n");
    loop_turn(loop, 0);
    assert_int_equal(messages, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(order_arrives_with_its_fields),
        CASE(orders_arrive_in_order_however_they_are_cut),
        CASE(answer_reaches_the_master),
        CASE(silence_does_not_keep_the_loop_alive),
        CASE(master_that_goes_is_told_once),
        CASE(last_orders_are_read_before_the_end),
        CASE(nonsense_ends_the_channel),
        CASE(line_without_end_is_bounded),
        CASE(queue_is_bounded_and_recovers),
        CASE(descriptor_travels_beside_its_order),
        CASE(closed_channel_sends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
