/* test_redis_client.c: commands through a client, on a real server and on one that misbehaves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "bindings/redis_rig.h"

static server_t server;
static int tls_port;
static char tls_folder[64] = "/tmp/perigee-tls-XXXXXX", certificate[128], key[128];

static void make_certificate(void) {
    char command[600];
    char *made = mkdtemp(tls_folder);
    assert(made);
    snprintf(certificate, sizeof certificate, "%s/cert.pem", tls_folder);
    snprintf(key, sizeof key, "%s/key.pem", tls_folder);
    snprintf(command, sizeof command,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
        "/CN=redis.test "
        "-addext subjectAltName=DNS:redis.test,DNS:localhost -keyout %s -out %s >/dev/null 2>&1",
        key, certificate);
    int err = system(command);
    assert(err == 0);
}

static bool try_server(void) {
    char port[16];
    tls_port = rig_free_port();
    snprintf(port, sizeof port, "%d", tls_port);
    const char *more[] = {"--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key,
        "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no", "--user", "default", "on",
        "nopass", "~*", "&*", "+@all", "--user", "shop", "on", ">s:cr@t", "~shop:*", "+@all", NULL};
    if (server_try(&server, more)) return true;
    server_stop(&server);
    return false;
}

static int start_server(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    make_certificate();
    for (int i = 0; i < 10; i++) /* somebody else may take the port first */
        if (try_server()) return 0;
    return 1;
}

static int stop_server(void **state) {
    (void)state;
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", tls_folder);
    int err = system(command);
    server_stop(&server);
    return err;
}

static void test_values_survive(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = rig_client(loop, server.url);
    call_t call;
    rig_run(loop, redis, &call, "SET big 9223372036854775806");
    rig_run(loop, redis, &call, "INCR big");
    assert_true(call.integer == INT64_MAX);
    rig_run(loop, redis, &call, "GET nothing");
    assert_int_equal(call.type, REDIS_REPLY_NIL);
    rig_prepare(&call, "SET binary ?");
    call.argv[2] = (span_t){"a\0\r\n\xff", 5};
    assert_int_equal(redis_submit(redis, &call.command), 0);
    RIG_UNTIL(loop, call.done);
    rig_run(loop, redis, &call, "GET binary");
    assert_int_equal(call.len, 5);
    assert_memory_equal(call.text, "a\0\r\n\xff", 5);
    rig_prepare(&call, "SET empty ?");
    call.argv[2] = (span_t){NULL, 0};
    assert_int_equal(redis_submit(redis, &call.command), 0);
    RIG_UNTIL(loop, call.done);
    rig_run(loop, redis, &call, "STRLEN empty");
    assert_int_equal(call.integer, 0);
    assert_true(redis_up(redis));
    loop_delete(loop);
}

static int type_of_hgetall(const char *options) {
    char url[200];
    call_t call;
    loop_t *loop = loop_new();
    snprintf(url, sizeof url, "%s%s", server.url, options);
    redis_t *redis = rig_client(loop, url);
    rig_run(loop, redis, &call, "HSET hash field value");
    rig_run(loop, redis, &call, "HGETALL hash");
    loop_delete(loop);
    return call.type;
}

static void test_protocols(void **state) {
    (void)state;
    assert_int_equal(type_of_hgetall(""), REDIS_REPLY_MAP);
    assert_int_equal(type_of_hgetall("?resp=2"), REDIS_REPLY_ARRAY);
}

static void test_a_large_value(void **state) {
    (void)state;
    enum { SIZE = 5 * 1024 * 1024 };
    loop_t *loop = loop_new();
    redis_t *redis = rig_client(loop, server.url);
    char *bytes = malloc(SIZE);
    call_t call;
    memset(bytes, 'x', SIZE);
    rig_prepare(&call, "SET large ?");
    call.argv[2] = (span_t){bytes, SIZE};
    assert_int_equal(redis_submit(redis, &call.command), 0);
    RIG_UNTIL(loop, call.done);
    rig_run(loop, redis, &call, "GET large");
    assert_int_equal(call.command.err, 0);
    assert_int_equal(call.type, REDIS_REPLY_STRING);
    rig_run(loop, redis, &call, "STRLEN large");
    assert_int_equal(call.integer, SIZE);
    rig_run(loop, redis, &call, "DEL large");
    free(bytes);
    loop_delete(loop);
}

static void test_database_and_user(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    char url[200];
    call_t call;
    snprintf(url, sizeof url, "%s?db=5", server.url);
    redis_t *five = rig_client(loop, url);
    rig_run(loop, five, &call, "SET where five");
    snprintf(url, sizeof url, "unix://shop:s%%3Acr%%40t@%s", server.socket);
    redis_t *shop = rig_client(loop, url);
    rig_run(loop, shop, &call, "ACL WHOAMI");
    assert_string_equal(call.text, "shop");
    rig_run(loop, shop, &call, "GET where");
    assert_int_equal(call.reply_err, ERR_UNAVAILABLE); /* NOPERM: not a key of the shop's */
    rig_run(loop, shop, &call, "GET shop:where");
    assert_int_equal(call.type, REDIS_REPLY_NIL);
    loop_delete(loop);
}

static void test_a_wrong_password(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    call_t call;
    char url[200];
    snprintf(url, sizeof url, "unix://shop:hunter2@%s", server.socket);
    redis_t *redis = rig_client(loop, url);
    rig_run(loop, redis, &call, "GET x");
    assert_int_equal(call.command.err, ERR_UNAVAILABLE);
    assert_non_null(strstr(call.command.detail, "WRONGPASS"));
    assert_null(strstr(call.command.detail, "hunter2"));
    assert_false(redis_up(redis));
    loop_delete(loop);
}

static void over_tls(const char *host, const char *options, call_t *call) {
    loop_t *loop = loop_new();
    char url[400];
    snprintf(url, sizeof url, "rediss://%s:%d/?%s", host, tls_port, options);
    redis_t *redis = rig_client(loop, url);
    rig_run(loop, redis, call, "ECHO secured");
    loop_delete(loop);
}

static void test_tls_is_verified(void **state) {
    (void)state;
    call_t call;
    char options[200];
    snprintf(options, sizeof options, "ca=%s", certificate);
    over_tls("localhost", options, &call);
    assert_string_equal(call.text, "secured");
    over_tls("127.0.0.1", options, &call); /* the certificate is for names only */
    assert_int_equal(call.command.err, ERR_UNAVAILABLE);
    if (!strstr(call.command.detail, "TLS: ")) fail_msg("%s", call.command.detail);
    over_tls("localhost", "", &call); /* nobody vouches for it */
    assert_int_equal(call.command.err, ERR_UNAVAILABLE);
    snprintf(options, sizeof options, "ca=%s&name=redis.test", certificate);
    over_tls("127.0.0.1", options, &call);
    assert_string_equal(call.text, "secured");
}

static void test_tls_carries_much(void **state) {
    (void)state;
    enum { COUNT = 200 };
    static call_t calls[COUNT];
    static char lines[COUNT][600];
    loop_t *loop = loop_new();
    char url[400];
    snprintf(url, sizeof url, "rediss://localhost:%d/?ca=%s", tls_port, certificate);
    redis_t *redis = rig_client(loop, url);
    for (int i = 0; i < COUNT; i++) {
        snprintf(lines[i], sizeof lines[i], "ECHO %d-%0500d", i, i);
        rig_submit(redis, &calls[i], lines[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        RIG_UNTIL(loop, calls[i].done);
        assert_memory_equal(calls[i].text, lines[i] + 5, 200);
    }
    loop_delete(loop);
}

static void test_tls_files_that_are_missing(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    char why[200];
    redis_options_t options = {.url = "rediss://u:hunter2@h?ca=/nowhere"};
    assert_null(redis_new(loop, &options, why, sizeof why));
    assert_non_null(strstr(why, "authorities"));
    assert_null(strstr(why, "hunter2"));
    loop_delete(loop);
}

static void test_a_shared_connection_refuses_by_name(void **state) {
    (void)state;
    static const char *const LINES[] = {"SUBSCRIBE c", "psubscribe c", "MONITOR", "SELECT 1",
        "HELLO 3", "AUTH x", "CLIENT REPLY OFF", "client tracking on", "RESET", "QUIT", "WATCH k",
        "MULTI", "EXEC", "BLPOP k 0", "XREAD BLOCK 0 STREAMS s 0",
        "xreadgroup GROUP g c block 5 STREAMS s >", "WAIT 1 0", "script debug yes",
        "REPLCONF ACK 0"};
    loop_t *loop = loop_new();
    redis_t *redis = rig_client(loop, server.url);
    call_t call;
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        rig_prepare(&call, LINES[i]);
        if (redis_submit(redis, &call.command) != ERR_INTERNAL) fail_msg("%s was sent", LINES[i]);
        assert_true(call.command.detail[0]);
    }
    rig_prepare(&call, "");
    assert_int_equal(redis_submit(redis, &call.command), ERR_INTERNAL);
    rig_run(loop, redis, &call, "XREAD COUNT 1 STREAMS BLOCK 0");
    assert_int_equal(call.command.err, 0);
    rig_run(loop, redis, &call, "CLIENT ID");
    assert_int_equal(call.type, REDIS_REPLY_INTEGER);
    loop_delete(loop);
}

/* The server goes and comes back: what was not sent is refused, and later commands work without anybody's help. */
static void test_a_restarted_server(void **state) {
    (void)state;
    server_t own;
    loop_t *loop = loop_new();
    call_t call;
    server_start(&own);
    redis_t *redis = rig_client(loop, own.url);
    rig_run(loop, redis, &call, "SET k v");
    RIG_UNTIL(loop, redis_up(redis));
    server_kill(&own);
    RIG_UNTIL(loop, !redis_up(redis));
    rig_run(loop, redis, &call, "GET k");
    assert_int_equal(call.command.err, ERR_UNAVAILABLE);
    server_launch(&own, NULL);
    RIG_UNTIL(loop, redis_up(redis));
    rig_run(loop, redis, &call, "GET k");
    assert_int_equal(call.type, REDIS_REPLY_NIL);
    loop_delete(loop);
    server_stop(&own);
}

/* A server that stands still: waiters leave at their deadlines, and when it goes on, each gets its own answer or
   none. */
static void test_a_stopped_server(void **state) {
    (void)state;
    enum { COUNT = 40 };
    static call_t early[COUNT], late[COUNT];
    static char lines[COUNT][32];
    server_t own;
    loop_t *loop = loop_new();
    server_start(&own);
    redis_t *redis = rig_client(loop, own.url);
    RIG_UNTIL(loop, redis_up(redis));
    kill(own.pid, SIGSTOP);
    for (int i = 0; i < COUNT; i++) {
        snprintf(lines[i], sizeof lines[i], "ECHO early-%d", i);
        rig_prepare(&early[i], lines[i]);
        early[i].command.deadline_ms = loop_now(loop) + 2000;
        if (i % 2) early[i].command.deadline_ms = loop_now(loop) + 20;
        assert_int_equal(redis_submit(redis, &early[i].command), 0);
    }
    RIG_UNTIL(loop, early[1].done);
    assert_int_equal(early[1].command.err, ERR_TIMEOUT);
    kill(own.pid, SIGCONT);
    for (int i = 0; i < COUNT; i++) {
        static char more[COUNT][32];
        snprintf(more[i], sizeof more[i], "ECHO late-%d", i);
        rig_submit(redis, &late[i], more[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        RIG_UNTIL(loop, early[i].done && late[i].done);
        assert_int_equal(early[i].done, 1);
        assert_int_equal(late[i].done, 1);
        char expected[32];
        snprintf(expected, sizeof expected, "early-%d", i);
        if (!early[i].command.err) assert_string_equal(early[i].text, expected);
        snprintf(expected, sizeof expected, "late-%d", i);
        if (!late[i].command.err) assert_string_equal(late[i].text, expected);
    }
    loop_delete(loop);
    server_stop(&own);
}

static void hold_back(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    (void)fake;
    (void)conn;
    (void)command;
}

/* Answers only when told, in order. */
typedef struct held {
    fake_conn_t *conn;
    char words[64][32];
    int count;
} held_t;

static void remember(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    held_t *held = fake->data;
    held->conn = conn;
    snprintf(held->words[held->count++], 32, "%s", fake_word(command, 1));
}

static void test_tagged_values(void **state) {
    (void)state;
    enum { COUNT = 30 };
    static call_t calls[COUNT];
    static char lines[COUNT][32];
    loop_t *loop = loop_new();
    fake_t fake;
    held_t held = {.count = 0};
    fake_start(&fake, loop);
    fake.on_command = remember;
    fake.data = &held;
    redis_t *redis = rig_client_with(loop,
        (redis_options_t){.url = fake.url, .shared = 1, .command_ms = 60000, .connect_ms = 60000});
    for (int i = 0; i < COUNT; i++) {
        snprintf(lines[i], sizeof lines[i], "ECHO tag-%d", i);
        rig_prepare(&calls[i], lines[i]);
        if (i % 3 == 1) calls[i].command.deadline_ms = loop_now(loop) + 300;
        assert_int_equal(redis_submit(redis, &calls[i].command), 0);
    }
    RIG_UNTIL(loop, held.count == COUNT);
    for (int i = 2; i < COUNT; i += 3)
        redis_cancel(&calls[i].command);
    for (int i = 1; i < COUNT; i += 3)
        RIG_UNTIL(loop, calls[i].done && calls[i + 1].done);
    for (int i = 0; i < COUNT; i++)
        fake_bulk(held.conn, held.words[i]);
    for (int i = 0; i < COUNT; i++) {
        static const int ERRORS[] = {0, ERR_TIMEOUT, ERR_CANCELLED};
        RIG_UNTIL(loop, calls[i].done);
        assert_int_equal(calls[i].command.err, ERRORS[i % 3]);
        if (i % 3 == 0) assert_string_equal(calls[i].text, lines[i] + 5);
    }
    loop_turn(loop, 5);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(calls[i].done, 1);
    loop_delete(loop);
}

static void test_cancelled_before_it_is_sent(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    call_t call;
    fake_start(&fake, loop);
    redis_t *redis = rig_client(loop, fake.url);
    rig_submit(redis, &call, "ECHO x");
    redis_cancel(&call.command);
    redis_cancel(&call.command);
    assert_int_equal(call.done, 0);
    RIG_UNTIL(loop, call.done);
    assert_int_equal(call.command.err, ERR_CANCELLED);
    redis_cancel(&call.command);
    RIG_UNTIL(loop, redis_up(redis));
    assert_int_equal(fake.commands, 0);
    assert_int_equal(call.done, 1);
    loop_delete(loop);
}

static void cut(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    (void)command;
    if (fake->commands == 1)
        fake_close(conn);
    else
        fake_echo(fake, conn, command);
}

static int sent_after_a_cut(bool repeatable, call_t *call) {
    loop_t *loop = loop_new();
    fake_t fake;
    fake_start(&fake, loop);
    fake.on_command = cut;
    redis_t *redis = rig_client_with(loop,
        (redis_options_t){.url = fake.url, .shared = 1, .command_ms = 60000, .connect_ms = 60000});
    rig_prepare(call, "ECHO again");
    call->command.repeatable = repeatable;
    assert_int_equal(redis_submit(redis, &call->command), 0);
    RIG_UNTIL(loop, call->done);
    RIG_UNTIL(loop, fake.accepted >= 2 && redis_up(redis));
    int commands = fake.commands;
    loop_delete(loop);
    return commands;
}

/* It may have run: it is reported, whatever was said of it. */
static void test_a_lost_connections_command_is_not_sent_again(void **state) {
    (void)state;
    for (int repeatable = 0; repeatable < 2; repeatable++) {
        call_t call;
        assert_int_equal(sent_after_a_cut(repeatable, &call), 1);
        assert_int_equal(call.command.err, ERR_CLOSED);
        assert_int_equal(call.done, 1);
    }
}

static void test_the_bound(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    call_t calls[4];
    fake_start(&fake, loop);
    fake.on_command = hold_back;
    redis_t *redis = rig_client_with(loop,
        (redis_options_t){.url = fake.url, .bound = 3, .command_ms = 60000, .connect_ms = 60000});
    for (int i = 0; i < 3; i++)
        rig_submit(redis, &calls[i], "GET k");
    rig_prepare(&calls[3], "GET k");
    assert_int_equal(redis_submit(redis, &calls[3].command), ERR_BUSY);
    redis_cancel(&calls[0].command);
    RIG_UNTIL(loop, calls[0].done);
    assert_int_equal(redis_submit(redis, &calls[3].command), 0);
    loop_delete(loop); /* what is under way ends with the loop */
    for (int i = 1; i < 4; i++) {
        assert_int_equal(calls[i].done, 1);
        assert_int_equal(calls[i].command.err, ERR_CLOSED);
    }
    assert_int_equal(calls[0].command.err, ERR_CANCELLED);
}

/* A server that has stopped reading costs no more than so many bytes, whatever the commands. */
static void test_bytes_are_bounded(void **state) {
    (void)state;
    enum { COUNT = 80, SIZE = 1024 * 1024 };
    static call_t calls[COUNT];
    loop_t *loop = loop_new();
    fake_t fake;
    char *value = calloc(1, SIZE + 1);
    int busy = 0, sent = 0;
    memset(value, 'v', SIZE);
    fake_start(&fake, loop);
    redis_t *redis =
        rig_client_with(loop, (redis_options_t){.url = fake.url, .shared = 1, .command_ms = 60000});
    RIG_UNTIL(loop, redis_up(redis));
    uv_read_stop((uv_stream_t *)&LIST_OWNER(fake.conns.next, fake_conn_t, node)->tcp);
    for (int i = 0; i < COUNT; i++) {
        rig_prepare(&calls[i], "SET key value");
        calls[i].argv[2] = (span_t){value, SIZE};
        assert_int_equal(redis_submit(redis, &calls[i].command), 0);
    }
    rig_settle(loop);
    for (int i = 0; i < COUNT; i++) {
        busy += calls[i].done && calls[i].command.err == ERR_BUSY;
        sent += !calls[i].done;
    }
    assert_int_equal(busy + sent, COUNT);
    assert_in_range(sent, 16, 32); /* what this turn sent: nothing of it was written before */
    fake_close_all(&fake);
    for (int i = 0; i < COUNT; i++)
        RIG_UNTIL(loop, calls[i].done);
    loop_delete(loop);
    free(value);
}

static void test_refused_then_there(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    call_t call;
    fake_start(&fake, loop);
    int port = fake.port;
    fake_unlisten(&fake);
    rig_settle(loop);
    int guard = fake_reserve(&fake);
    redis_t *redis = rig_client(loop, fake.url);
    rig_run(loop, redis, &call, "ECHO x");
    assert_int_equal(call.command.err, ERR_UNAVAILABLE);
    rig_run(loop, redis, &call, "ECHO x");
    assert_int_equal(call.command.err, ERR_UNAVAILABLE);
    fake_listen(&fake, port);
    RIG_UNTIL(loop, redis_up(redis));
    rig_run(loop, redis, &call, "ECHO x");
    assert_string_equal(call.text, "x");
    close(guard);
    loop_delete(loop);
}

static void test_a_silent_server(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    call_t call, patient;
    fake_start(&fake, loop);
    fake.silent = true;
    redis_t *redis = rig_client_with(
        loop, (redis_options_t){.url = fake.url, .connect_ms = 400, .command_ms = 50});
    rig_submit(redis, &call, "ECHO x");
    rig_prepare(&patient, "ECHO y");
    patient.command.deadline_ms = loop_now(loop) + 60000;
    assert_int_equal(redis_submit(redis, &patient.command), 0);
    RIG_UNTIL(loop, call.done && patient.done);
    assert_int_equal(call.command.err, ERR_TIMEOUT);
    assert_int_equal(patient.command.err, ERR_UNAVAILABLE);
    fake.silent = false;
    fake_close_all(&fake);
    RIG_UNTIL(loop, redis_up(redis));
    loop_delete(loop);
}

static void ask_once_more(redis_command_t *command) {
    call_t *next = (call_t *)command->data + 1;
    rig_take(command);
    assert_int_equal(redis_submit(command->redis, &next->command), 0);
}

/* Whoever asks a server that has just let somebody wait in vain is not made to wait as well. The time is long enough
   for the second answer to come before the connection is given up. */
static void test_a_silent_server_is_not_asked_again(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t fake;
    call_t calls[2];
    fake_start(&fake, loop);
    fake.on_command = hold_back;
    redis_t *redis = rig_client_with(
        loop, (redis_options_t){.url = fake.url, .connect_ms = 20000, .command_ms = 2000});
    RIG_UNTIL(loop, redis_up(redis));
    rig_prepare(&calls[0], "ECHO x");
    rig_prepare(&calls[1], "ECHO y");
    calls[0].command.done = ask_once_more;
    assert_int_equal(redis_submit(redis, &calls[0].command), 0);
    RIG_UNTIL(loop, calls[1].done);
    assert_int_equal(calls[0].command.err, ERR_TIMEOUT);
    assert_int_equal(calls[1].command.err, ERR_UNAVAILABLE);
    assert_int_equal(fake.commands, 1);
    assert_false(redis_up(redis));
    loop_delete(loop);
}

static void complain(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    char text[64];
    (void)fake;
    snprintf(text, sizeof text, "-%s the server says so\r\n", fake_word(command, 1));
    fake_say(conn, text);
}

static void test_errors_of_the_server(void **state) {
    (void)state;
    static const struct {
        const char *line;
        int err;
    } CASES[] = {{"GET LOADING", ERR_UNAVAILABLE}, {"GET READONLY", ERR_UNAVAILABLE},
        {"GET OOM", ERR_UNAVAILABLE}, {"GET MASTERDOWN", ERR_UNAVAILABLE},
        {"GET EXECABORT", ERR_CONFLICT}, {"GET WRONGTYPE", ERR_INTERNAL},
        {"GET LOADINGS", ERR_INTERNAL}, {"GET ERR", ERR_INTERNAL}};
    loop_t *loop = loop_new();
    fake_t fake;
    fake_start(&fake, loop);
    fake.on_command = complain;
    redis_t *redis = rig_client(loop, fake.url);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        call_t call;
        rig_run(loop, redis, &call, CASES[i].line);
        assert_int_equal(call.command.err, 0);
        assert_int_equal(call.type, REDIS_REPLY_ERROR);
        assert_int_equal(call.reply_err, CASES[i].err);
    }
    assert_true(redis_up(redis));
    loop_delete(loop);
}

static void test_reads_go_to_the_reader(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    fake_t main, reader;
    call_t call;
    fake_start(&main, loop);
    fake_start(&reader, loop);
    redis_t *redis = rig_client_with(loop,
        (redis_options_t){
            .url = main.url, .read_url = reader.url, .command_ms = 60000, .connect_ms = 60000});
    rig_prepare(&call, "ECHO read");
    call.command.replica = true;
    assert_int_equal(redis_submit(redis, &call.command), 0);
    RIG_UNTIL(loop, call.done);
    assert_int_equal(reader.commands, 1);
    rig_run(loop, redis, &call, "ECHO written");
    assert_int_equal(main.commands, 1);
    reader.on_command = complain; /* LOADING: the server itself knows the same */
    rig_prepare(&call, "ECHO LOADING");
    call.command.replica = true;
    assert_int_equal(redis_submit(redis, &call.command), 0);
    RIG_UNTIL(loop, call.done);
    assert_string_equal(call.text, "LOADING");
    assert_int_equal(main.commands, 2);
    loop_delete(loop);
}

static void submit_again(redis_command_t *command) {
    call_t *call = command->data;
    rig_take(command);
    if (call->done < 5) assert_int_equal(redis_submit(command->redis, command), 0);
}

static void test_submitted_from_done(void **state) {
    (void)state;
    loop_t *loop = loop_new();
    redis_t *redis = rig_client(loop, server.url);
    call_t call;
    rig_prepare(&call, "ECHO again");
    call.command.done = submit_again;
    assert_int_equal(redis_submit(redis, &call.command), 0);
    RIG_UNTIL(loop, call.done == 5);
    assert_string_equal(call.text, "again");
    loop_delete(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_survive),
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_a_large_value),
        cmocka_unit_test(test_database_and_user),
        cmocka_unit_test(test_a_wrong_password),
        cmocka_unit_test(test_tls_is_verified),
        cmocka_unit_test(test_tls_carries_much),
        cmocka_unit_test(test_tls_files_that_are_missing),
        cmocka_unit_test(test_a_shared_connection_refuses_by_name),
        cmocka_unit_test(test_a_restarted_server),
        cmocka_unit_test(test_a_stopped_server),
        cmocka_unit_test(test_tagged_values),
        cmocka_unit_test(test_cancelled_before_it_is_sent),
        cmocka_unit_test(test_a_lost_connections_command_is_not_sent_again),
        cmocka_unit_test(test_the_bound),
        cmocka_unit_test(test_bytes_are_bounded),
        cmocka_unit_test(test_refused_then_there),
        cmocka_unit_test(test_a_silent_server),
        cmocka_unit_test(test_a_silent_server_is_not_asked_again),
        cmocka_unit_test(test_errors_of_the_server),
        cmocka_unit_test(test_reads_go_to_the_reader),
        cmocka_unit_test(test_submitted_from_done),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
