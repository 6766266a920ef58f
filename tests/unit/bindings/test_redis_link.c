/* test_redis_link.c: one connection: every answer finds its own command, whatever the server does to the bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "bindings/redis_rig.h"
#include "redis/link.h"

typedef struct rig {
    loop_t *loop;
    fake_t fake;
    redis_access_t access;
    link_t *link;
    int ups, downs;
    uint64_t span_ms; /* the options' */
    bool gone;
    char detail[REDIS_DETAIL_MAX];
} rig_t;

static void on_up(void *data, link_t *link) {
    rig_t *rig = data;
    rig->ups++;
    assert_true(link_is_up(link));
}

static void on_down(void *data, link_t *link, const char *detail) {
    rig_t *rig = data;
    (void)link;
    rig->downs++;
    rig->link = NULL;
    snprintf(rig->detail, sizeof rig->detail, "%s", detail);
}

static const link_events_t EVENTS = {.up = on_up, .down = on_down};

static void dial(rig_t *rig, uint64_t connect_ms) {
    link_options_t options = {.loop = rig->loop,
        .access = &rig->access,
        .connect_ms = connect_ms,
        .span_ms = rig->span_ms,
        .events = &EVENTS,
        .data = rig};
    snprintf(options.at.host, sizeof options.at.host, "127.0.0.1");
    options.at.port = rig->fake.port;
    rig->ups = rig->downs = 0;
    rig->link = link_open(&options);
    assert_non_null(rig->link);
}

static void set_up(rig_t *rig) {
    memset(rig, 0, sizeof *rig);
    rig->loop = loop_new();
    fake_start(&rig->fake, rig->loop);
}

static void tear_down(rig_t *rig) {
    if (rig->link) link_close(rig->link);
    loop_delete(rig->loop);
}

static void settle(redis_command_t *command) {
    command->settle = NULL;
    command->done(command);
}

/* What the client does for a command, without a client. */
static void submit(rig_t *rig, call_t *call, const char *line, uint64_t ms) {
    rig_prepare(call, line);
    call->command.settle = settle;
    call->command.until_ms = loop_now(rig->loop) + ms;
    assert_int_equal(link_send(rig->link, &call->command), 0);
}

static void open_up(rig_t *rig) {
    dial(rig, 60000);
    RIG_UNTIL(rig->loop, rig->ups || rig->downs);
    assert_int_equal(rig->ups, 1);
}

static void test_speaks_resp3_and_falls_back(void **state) {
    (void)state;
    rig_t rig;
    call_t call;
    set_up(&rig);
    open_up(&rig);
    assert_int_equal(link_protocol(rig.link), 3);
    link_close(rig.link);
    rig.fake.old = true;
    open_up(&rig);
    assert_int_equal(link_protocol(rig.link), 2);
    submit(&rig, &call, "ECHO old", 60000);
    RIG_UNTIL(rig.loop, call.done);
    assert_string_equal(call.text, "old");
    tear_down(&rig);
}

#define MANY 50

static void test_one_turn_is_one_write(void **state) {
    (void)state;
    rig_t rig;
    static call_t calls[MANY];
    char lines[MANY][32];
    set_up(&rig);
    open_up(&rig);
    int reads = rig.fake.reads;
    for (int i = 0; i < MANY; i++) {
        snprintf(lines[i], sizeof lines[i], "ECHO tag-%d", i);
        submit(&rig, &calls[i], lines[i], 60000);
    }
    assert_int_equal(link_load(rig.link), MANY);
    RIG_UNTIL(rig.loop, calls[MANY - 1].done);
    for (int i = 0; i < MANY; i++)
        assert_string_equal(calls[i].text, lines[i] + 5);
    assert_int_equal(rig.fake.reads, reads + 1);
    assert_int_equal(link_load(rig.link), 0);
    tear_down(&rig);
}

/* The answers to ten commands, each with its own tag, gathered for the test to dole out. */
typedef struct script {
    fake_conn_t *conn;
    int asked;
} script_t;

static void hold_back(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    script_t *script = fake->data;
    (void)command;
    script->conn = conn;
    script->asked++;
}

static void test_one_byte_at_a_time(void **state) {
    (void)state;
    rig_t rig;
    script_t script = {0};
    call_t calls[3];
    set_up(&rig);
    rig.fake.on_command = hold_back;
    rig.fake.data = &script;
    open_up(&rig);
    submit(&rig, &calls[0], "GET a", 60000);
    submit(&rig, &calls[1], "LRANGE b", 60000);
    submit(&rig, &calls[2], "GET c", 60000);
    RIG_UNTIL(rig.loop, script.asked == 3);
    const char *bytes = "$5\r\nfirst\r\n*2\r\n$1\r\nx\r\n:9223372036854775807\r\n$5\r\nthird\r\n";
    for (const char *at = bytes; *at; at++) {
        fake_send(script.conn, at, 1);
        rig_settle(rig.loop);
    }
    RIG_UNTIL(rig.loop, calls[2].done);
    assert_string_equal(calls[0].text, "first");
    assert_int_equal(calls[1].type, REDIS_REPLY_ARRAY);
    assert_int_equal(calls[1].elements, 2);
    assert_string_equal(calls[2].text, "third");
    tear_down(&rig);
}

static void test_cut_at_every_byte(void **state) {
    (void)state;
    static const char BYTES[] = "$3\r\none\r\n$3\r\ntwo\r\n";
    rig_t rig;
    set_up(&rig);
    script_t script = {0};
    rig.fake.on_command = hold_back;
    rig.fake.data = &script;
    for (size_t cut = 0; cut < sizeof BYTES - 1; cut++) {
        call_t calls[2];
        open_up(&rig);
        script.asked = 0;
        submit(&rig, &calls[0], "GET one", 60000);
        submit(&rig, &calls[1], "GET two", 60000);
        RIG_UNTIL(rig.loop, script.asked == 2);
        fake_send(script.conn, BYTES, cut);
        rig_settle(rig.loop);
        fake_close(script.conn);
        RIG_UNTIL(rig.loop, rig.downs == 1 && calls[0].done && calls[1].done);
        rig_settle(rig.loop);
        assert_int_equal(calls[0].done, 1);
        assert_int_equal(calls[1].done, 1);
        assert_int_equal(calls[0].command.err, cut >= 9 ? 0 : ERR_CLOSED);
        assert_int_equal(calls[1].command.err, ERR_CLOSED);
        if (cut >= 9) assert_string_equal(calls[0].text, "one");
        assert_int_equal(rig.downs, 1);
    }
    tear_down(&rig);
}

static void test_a_greeting_cut_at_every_byte(void **state) {
    (void)state;
    static const char BYTES[] = "%1\r\n$5\r\nproto\r\n:3\r\n+OK\r\n";
    rig_t rig;
    set_up(&rig);
    rig.fake.silent = true;
    for (size_t cut = 0; cut < sizeof BYTES - 1; cut++) {
        int reads = rig.fake.reads;
        dial(&rig, 60000);
        RIG_UNTIL(rig.loop, rig.fake.reads > reads);
        fake_conn_t *conn = LIST_OWNER(rig.fake.conns.next, fake_conn_t, node);
        fake_send(conn, BYTES, cut);
        rig_settle(rig.loop);
        fake_close(conn);
        RIG_UNTIL(rig.loop, rig.downs);
        assert_int_equal(rig.ups, 0);
        assert_int_equal(rig.downs, 1);
    }
    tear_down(&rig);
}

static void test_a_late_answer_reaches_nobody_else(void **state) {
    (void)state;
    rig_t rig;
    script_t script = {0};
    call_t left, stays, after;
    set_up(&rig);
    rig.fake.on_command = hold_back;
    rig.fake.data = &script;
    open_up(&rig);
    submit(&rig, &left, "GET left", 60000);
    submit(&rig, &stays, "GET stays", 60000);
    RIG_UNTIL(rig.loop, script.asked == 2);
    link_forget(&left.command);
    memset(&left.command, 0xee,
        sizeof left.command); /* its owner may do what it likes with the memory */
    submit(&rig, &after, "GET after", 60000);
    RIG_UNTIL(rig.loop, script.asked == 3);
    fake_say(script.conn, "$4\r\nleft\r\n$5\r\nstays\r\n$5\r\nafter\r\n");
    RIG_UNTIL(rig.loop, after.done);
    assert_int_equal(left.done, 0);
    assert_string_equal(stays.text, "stays");
    assert_string_equal(after.text, "after");
    assert_int_equal(rig.downs, 0);
    tear_down(&rig);
}

static void test_an_overdue_head_ends_the_connection(void **state) {
    (void)state;
    rig_t rig;
    script_t script = {0};
    call_t first, second;
    set_up(&rig);
    rig.fake.on_command = hold_back;
    rig.fake.data = &script;
    open_up(&rig);
    submit(&rig, &first, "GET first", 30);
    submit(&rig, &second, "GET second", 60000);
    RIG_UNTIL(rig.loop, script.asked == 2);
    link_forget(&first.command);
    RIG_UNTIL(rig.loop, rig.downs && second.done);
    assert_int_equal(first.done, 0);
    assert_int_equal(second.command.err, ERR_CLOSED);
    assert_non_null(strstr(second.command.detail, "twice"));
    tear_down(&rig);
}

/* Who is in a hurry gives up, and the server is not gone for that. */
static void test_a_hurried_head_does_not(void **state) {
    (void)state;
    rig_t rig;
    script_t script = {0};
    call_t first, second;
    set_up(&rig);
    rig.span_ms = 3600000;
    rig.fake.on_command = hold_back;
    rig.fake.data = &script;
    open_up(&rig);
    submit(&rig, &first, "GET first", 5);
    submit(&rig, &second, "GET second", 60000);
    RIG_UNTIL(rig.loop, script.asked == 2);
    link_forget(&first.command);
    uint64_t later = loop_now(rig.loop) + 50;
    RIG_UNTIL(rig.loop, loop_now(rig.loop) >= later);
    fake_say(script.conn, "$5\r\nfirst\r\n$6\r\nsecond\r\n");
    RIG_UNTIL(rig.loop, second.done);
    assert_string_equal(second.text, "second");
    assert_int_equal(rig.downs, 0);
    tear_down(&rig);
}

static void test_an_answered_head_does_not(void **state) {
    (void)state;
    rig_t rig;
    script_t script = {0};
    call_t first, second;
    set_up(&rig);
    rig.fake.on_command = hold_back;
    rig.fake.data = &script;
    open_up(&rig);
    submit(&rig, &first, "GET first", 30);
    RIG_UNTIL(rig.loop, script.asked == 1);
    link_forget(&first.command);
    fake_say(script.conn, "$5\r\nfirst\r\n");
    RIG_UNTIL(rig.loop, link_load(rig.link) == 0);
    submit(&rig, &second, "GET second", 60000);
    uint64_t later = loop_now(rig.loop) + 100;
    RIG_UNTIL(rig.loop, loop_now(rig.loop) >= later);
    fake_say(script.conn, "$6\r\nsecond\r\n");
    RIG_UNTIL(rig.loop, second.done);
    assert_string_equal(second.text, "second");
    assert_int_equal(rig.downs, 0);
    tear_down(&rig);
}

static void test_silence_begins_with_the_oldest_command(void **state) {
    (void)state;
    rig_t rig;
    script_t script = {0};
    call_t first, second;
    set_up(&rig);
    rig.span_ms = 50;
    rig.fake.on_command = hold_back;
    rig.fake.data = &script;
    open_up(&rig);
    uint64_t sent = loop_now(rig.loop);
    assert_int_equal(link_silent_since(rig.link), 0);
    submit(&rig, &first, "GET first", 30);
    submit(&rig, &second, "GET second", 3600000);
    RIG_UNTIL(rig.loop, script.asked == 2 && link_silent_since(rig.link));
    assert_int_equal(link_silent_since(rig.link), sent);
    assert_true(loop_now(rig.loop) >= sent + 50);
    fake_say(script.conn, "$5\r\nfirst\r\n");
    RIG_UNTIL(rig.loop, first.done);
    assert_int_equal(link_silent_since(rig.link), 0); /* the next one has more time */
    assert_true(link_heard_ms(rig.link) >= sent + 50);
    tear_down(&rig);
}

static void test_asking_goes_right_before_its_command(void **state) {
    (void)state;
    rig_t rig;
    call_t call;
    set_up(&rig);
    open_up(&rig);
    rig_prepare(&call, "ECHO moved");
    call.command.settle = settle;
    call.command.asking = true;
    call.command.until_ms = loop_now(rig.loop) + 60000;
    assert_int_equal(link_send(rig.link, &call.command), 0);
    RIG_UNTIL(rig.loop, call.done);
    assert_string_equal(call.text, "moved");
    assert_int_equal(rig.fake.commands, 2);
    tear_down(&rig);
}

/* A short push is what hiredis's own asynchronous half reads past the end of. */
static void test_pushes_take_nobodys_place(void **state) {
    (void)state;
    rig_t rig;
    script_t script = {0};
    call_t call;
    set_up(&rig);
    rig.fake.on_command = hold_back;
    rig.fake.data = &script;
    open_up(&rig);
    submit(&rig, &call, "GET x", 60000);
    RIG_UNTIL(rig.loop, script.asked == 1);
    fake_say(script.conn,
        ">1\r\n$1\r\np\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nx\r\n$4\r\nmine\r\n>1\r\n+x\r\n");
    RIG_UNTIL(rig.loop, call.done);
    assert_string_equal(call.text, "mine");
    rig_settle(rig.loop);
    assert_int_equal(rig.downs, 0);
    tear_down(&rig);
}

static void test_an_answer_too_many_ends_the_connection(void **state) {
    (void)state;
    static const char *const EXTRA[] = {
        "+OK\r\n", "-ERR max number of clients reached\r\n", "?what\r\n"};
    for (size_t i = 0; i < 3; i++) {
        rig_t rig;
        set_up(&rig);
        open_up(&rig);
        fake_say(LIST_OWNER(rig.fake.conns.next, fake_conn_t, node), EXTRA[i]);
        RIG_UNTIL(rig.loop, rig.downs);
        assert_int_equal(rig.downs, 1);
        tear_down(&rig);
    }
}

static void repeat_arguments(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    char text[200];
    (void)fake;
    snprintf(text, sizeof text, "-ERR unknown command, with args beginning with: %s\r\n",
        fake_word(command, 1));
    fake_say(conn, text);
}

static void test_a_database_that_does_not_exist(void **state) {
    (void)state;
    rig_t rig;
    set_up(&rig);
    rig.access.db = 99;
    rig.fake.silent = true;
    dial(&rig, 60000);
    RIG_UNTIL(rig.loop, rig.fake.reads);
    fake_conn_t *conn = LIST_OWNER(rig.fake.conns.next, fake_conn_t, node);
    fake_say(conn, "-ERR unknown command\r\n+OK\r\n-ERR DB index is out of range\r\n");
    RIG_UNTIL(rig.loop, rig.downs);
    assert_non_null(strstr(rig.detail, ": SELECT 99 was refused: ERR"));
    tear_down(&rig);
}

static void test_a_password_that_is_not_wanted(void **state) {
    (void)state;
    rig_t rig;
    set_up(&rig);
    rig.access.password = "hunter2";
    rig.fake.silent = true;
    dial(&rig, 60000);
    RIG_UNTIL(rig.loop, rig.fake.reads);
    fake_conn_t *conn = LIST_OWNER(rig.fake.conns.next, fake_conn_t, node);
    fake_say(conn,
        "-ERR AUTH <password> called without any password configured for the default user.\r\n");
    RIG_UNTIL(rig.loop, rig.downs);
    assert_non_null(strstr(rig.detail, "AUTH as default was refused: it has no password"));
    tear_down(&rig);
}

/* An old server repeats arguments in its errors. */
static void test_a_refused_password_is_not_told(void **state) {
    (void)state;
    rig_t rig;
    set_up(&rig);
    rig.access.user = "shop";
    rig.access.password = "hunter2";
    rig.fake.silent = true;
    dial(&rig, 60000);
    RIG_UNTIL(rig.loop, rig.fake.reads);
    fake_conn_t *conn = LIST_OWNER(rig.fake.conns.next, fake_conn_t, node);
    redisReply word = {.str = "hunter2"}, *words[] = {&word, &word};
    repeat_arguments(&rig.fake, conn, &(redisReply){.elements = 2, .element = words});
    RIG_UNTIL(rig.loop, rig.downs);
    assert_null(strstr(rig.detail, "hunter2"));
    assert_non_null(strstr(rig.detail, "AUTH as shop was refused: ERR"));
    tear_down(&rig);
}

static void test_silence_at_the_greeting(void **state) {
    (void)state;
    rig_t rig;
    set_up(&rig);
    rig.fake.silent = true;
    dial(&rig, 30);
    RIG_UNTIL(rig.loop, rig.downs);
    assert_non_null(strstr(rig.detail, "in time"));
    tear_down(&rig);
}

static void test_refused(void **state) {
    (void)state;
    rig_t rig;
    set_up(&rig);
    fake_unlisten(&rig.fake);
    rig_settle(rig.loop);
    int guard = fake_reserve(&rig.fake);
    dial(&rig, 60000);
    RIG_UNTIL(rig.loop, rig.downs);
    assert_int_equal(rig.ups, 0);
    assert_non_null(strstr(rig.detail, "connection refused"));
    close(guard);
    tear_down(&rig);
}

static void test_names_are_looked_up(void **state) {
    (void)state;
    rig_t rig;
    set_up(&rig);
    link_options_t options = {.loop = rig.loop,
        .access = &rig.access,
        .connect_ms = 60000,
        .events = &EVENTS,
        .data = &rig};
    snprintf(options.at.host, sizeof options.at.host, "localhost");
    options.at.port = rig.fake.port;
    rig.link = link_open(&options);
    RIG_UNTIL(rig.loop, rig.ups || rig.downs);
    assert_int_equal(rig.ups, 1);
    tear_down(&rig);
    set_up(&rig);
    options.loop = rig.loop;
    rig.link = link_open(&options); /* closed while the lookup is under way */
    loop_turn(rig.loop, 0);
    tear_down(&rig);
}

static link_t *closed_by_an_answer;
static void close_in_answer(redis_command_t *command) {
    rig_take(command);
    link_close(closed_by_an_answer);
}

static void test_closed_from_an_answer(void **state) {
    (void)state;
    rig_t rig;
    call_t first, second;
    set_up(&rig);
    open_up(&rig);
    submit(&rig, &first, "ECHO first", 60000);
    submit(&rig, &second, "ECHO second", 60000);
    first.command.done = close_in_answer;
    closed_by_an_answer = rig.link;
    rig.link = NULL;
    RIG_UNTIL(rig.loop, second.done);
    assert_string_equal(first.text, "first");
    assert_int_equal(second.command.err, ERR_CLOSED);
    assert_int_equal(rig.downs, 0);
    tear_down(&rig);
}

static void send_many(fake_conn_t *conn, const char *head, const char *item, int count) {
    buf_t text;
    buf_create(&text);
    buf_text(&text, head);
    for (int i = 0; i < count; i++)
        buf_text(&text, item);
    fake_send(conn, text.ptr, text.len);
    buf_destroy(&text);
}

/* Many small things, one large one, things within things, and what takes a lot of room before it comes. */
static void answer_largely(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    int which = atoi(fake_word(command, 1));
    (void)fake;
    if (which == 0) fake_say(conn, "$5\r\nsmall\r\n");
    if (which == 1) send_many(conn, "*2000\r\n", ":1\r\n", 2000);
    if (which == 2) send_many(conn, "$100000\r\n", "0123456789", 10000);
    if (which == 2) fake_say(conn, "\r\n");
    if (which == 3) send_many(conn, "*3\r\n:1\r\n:2\r\n*2000\r\n", "%1\r\n+a\r\n,0.5\r\n", 2000);
    if (which == 4) send_many(conn, "*20000\r\n", "_\r\n", 20000);
}

/* Its place is taken as any other's, and its neighbours get their own. */
static void test_an_answer_that_is_too_large(void **state) {
    (void)state;
    rig_t rig;
    call_t calls[40];
    static const char *const LINES[] = {"GET 0", "GET 1", "GET 2", "GET 3", "GET 4"};
    set_up(&rig);
    rig.access.reply_max = 65536;
    rig.fake.on_command = answer_largely;
    open_up(&rig);
    for (int i = 0; i < 40; i++)
        submit(&rig, &calls[i], LINES[i % 5], 60000);
    RIG_UNTIL(rig.loop, calls[39].done);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(calls[i].done, 1);
        assert_int_equal(calls[i].command.err, i % 5 ? ERR_TOO_LARGE : 0);
        assert_string_equal(i % 5 ? calls[i].command.detail : calls[i].text,
            i % 5 ? "the answer takes more than 65536 bytes (redis_reply_max_bytes)" : "small");
    }
    assert_int_equal(rig.downs, 0);
    tear_down(&rig);
}

static void answer_endlessly(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    (void)fake;
    send_many(conn,
        strcmp(fake_word(command, 1), "text") == 0 ? "$500000000\r\n" : "*1000000000\r\n",
        "+23456\r\n", 40000);
}

/* What does not come to its end costs the connection, and no more memory than a few times the limit. */
static void test_an_answer_without_an_end(void **state) {
    (void)state;
    static const char *const LINES[] = {"GET text", "GET list"};
    for (int i = 0; i < 2; i++) {
        rig_t rig;
        call_t call;
        set_up(&rig);
        rig.access.reply_max = 65536;
        rig.fake.on_command = answer_endlessly;
        open_up(&rig);
        submit(&rig, &call, LINES[i], 60000);
        RIG_UNTIL(rig.loop, rig.downs && call.done);
        assert_int_equal(call.command.err, ERR_CLOSED);
        assert_non_null(strstr(rig.detail, "redis_reply_max_bytes"));
        tear_down(&rig);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speaks_resp3_and_falls_back),
        cmocka_unit_test(test_one_turn_is_one_write),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_a_greeting_cut_at_every_byte),
        cmocka_unit_test(test_a_late_answer_reaches_nobody_else),
        cmocka_unit_test(test_an_overdue_head_ends_the_connection),
        cmocka_unit_test(test_a_hurried_head_does_not),
        cmocka_unit_test(test_an_answered_head_does_not),
        cmocka_unit_test(test_silence_begins_with_the_oldest_command),
        cmocka_unit_test(test_asking_goes_right_before_its_command),
        cmocka_unit_test(test_pushes_take_nobodys_place),
        cmocka_unit_test(test_an_answer_too_many_ends_the_connection),
        cmocka_unit_test(test_a_database_that_does_not_exist),
        cmocka_unit_test(test_a_password_that_is_not_wanted),
        cmocka_unit_test(test_a_refused_password_is_not_told),
        cmocka_unit_test(test_an_answer_that_is_too_large),
        cmocka_unit_test(test_an_answer_without_an_end),
        cmocka_unit_test(test_silence_at_the_greeting),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_names_are_looked_up),
        cmocka_unit_test(test_closed_from_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
