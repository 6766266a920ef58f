/* redis_rig.h: a loop with a Redis behind it: a real server in a folder of its own, or a fake one that does as told. */
#ifndef PERIGEE_TESTS_REDIS_RIG_H
#define PERIGEE_TESTS_REDIS_RIG_H
#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "bindings/loop_rig.h"
#include "redis/redis.h"

static inline redis_t *rig_client_with(loop_t *loop, redis_options_t options) {
    char why[200];
    redis_t *redis = redis_new(loop, &options, why, sizeof why);
    if (!redis) fprintf(stderr, "%s\n", why);
    assert_non_null(redis);
    return redis;
}

static inline redis_t *rig_client(loop_t *loop, const char *url) {
    return rig_client_with(
        loop, (redis_options_t){.url = url, .command_ms = 20000, .connect_ms = 20000});
}

/* A command with a copy of what came back. */
typedef struct call {
    redis_command_t command;
    span_t argv[12];
    int done, type;
    long long integer;
    size_t elements;
    char text[256];
    size_t len;
    int reply_err;
} call_t;

static inline void rig_take(redis_command_t *command) {
    call_t *call = command->data;
    const redisReply *reply = command->reply;
    call->done++;
    call->type = reply ? reply->type : 0;
    call->reply_err = redis_reply_err(reply);
    if (!reply) return;
    call->integer = reply->integer;
    call->elements = reply->elements;
    call->len = reply->len < sizeof call->text ? reply->len : sizeof call->text - 1;
    if (reply->str) memcpy(call->text, reply->str, call->len);
    call->text[reply->str ? call->len : 0] = '\0';
}

/* Words are split at spaces; the text must outlive the call. */
static inline void rig_prepare(call_t *call, const char *line) {
    memset(call, 0, sizeof *call);
    span_t rest = span_of(line);
    while (rest.len)
        call->argv[call->command.argc++] = span_cut(&rest, ' ');
    call->command.argv = call->argv;
    call->command.key = call->command.argc > 1;
    call->command.done = rig_take;
    call->command.data = call;
}

static inline void rig_submit(redis_t *redis, call_t *call, const char *line) {
    rig_prepare(call, line);
    assert_int_equal(redis_submit(redis, &call->command), 0);
    assert_int_equal(call->done, 0);
}

static inline void rig_run(loop_t *loop, redis_t *redis, call_t *call, const char *line) {
    rig_submit(redis, call, line);
    RIG_UNTIL(loop, call->done);
    assert_int_equal(call->done, 1);
}

static inline void rig_expect(loop_t *loop, redis_t *redis, const char *line, const char *text) {
    call_t call;
    rig_run(loop, redis, &call, line);
    assert_int_equal(call.command.err, 0);
    assert_string_equal(call.text, text);
}

/* Tries until it ends so; meanwhile nothing but a refusal or a report will do. */
static inline void rig_await(
    loop_t *loop, redis_t *redis, call_t *call, const char *line, int err) {
    uint64_t end = rig_deadline();
    do {
        loop_turn(loop, 5);
        rig_run(loop, redis, call, line);
        int ended = call->command.err;
        assert_true(!ended || ended == ERR_UNAVAILABLE || ended == ERR_CLOSED);
    } while (call->command.err != err && uv_hrtime() < end);
    assert_int_equal(call->command.err, err);
}

/* Of a replica, if there is one. */
static inline void rig_read(loop_t *loop, redis_t *redis, call_t *call, const char *line) {
    rig_prepare(call, line);
    call->command.replica = true;
    assert_int_equal(redis_submit(redis, &call->command), 0);
    RIG_UNTIL(loop, call->done);
    assert_int_equal(call->command.err, 0);
}

static inline void rig_expect_read(
    loop_t *loop, redis_t *redis, const char *line, const char *text) {
    call_t call;
    rig_read(loop, redis, &call, line);
    assert_string_equal(call.text, text);
}

/* Until it is connected, the master answers. */
static inline void rig_await_read(
    loop_t *loop, redis_t *redis, const char *line, const char *text) {
    uint64_t end = rig_deadline();
    call_t call;
    do
        rig_read(loop, redis, &call, line);
    while (strcmp(call.text, text) != 0 && uv_hrtime() < end);
    assert_string_equal(call.text, text);
}

/* A real server. */
typedef struct server {
    pid_t pid;
    char folder[64], socket[80], url[128];
} server_t;

static inline int rig_free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int err = bind(fd, (struct sockaddr *)&address, size);
    assert(err == 0);
    err = getsockname(fd, (struct sockaddr *)&address, &size);
    assert(err == 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* more: further arguments, NULL at the end. */
static inline void server_launch(server_t *server, const char *const *more) {
    const char *argv[48] = {"redis-server", "--port", "0", "--bind", "127.0.0.1", "--unixsocket",
        server->socket, "--dir", server->folder, "--save", "", "--appendonly", "no", "--daemonize",
        "no", "--logfile", "redis.log"};
    int argc = 17;
    while (more && *more)
        argv[argc++] = *more++;
    server->pid = fork();
    assert(server->pid >= 0);
    if (server->pid) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails half-way leaves no server behind */
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

/* Waits until it accepts; false when it has ended. */
static inline bool server_await(server_t *server) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), tries = RIG_PATIENCE_S * 100;
    memcpy(address.sun_path, server->socket, strlen(server->socket));
    while (
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && server->pid && --tries) {
        if (waitpid(server->pid, NULL, WNOHANG)) server->pid = 0;
        usleep(10000);
    }
    close(fd);
    assert(tries);
    return server->pid != 0;
}

/* On a Unix socket alone, which nobody else can take. */
static inline bool server_try(server_t *server, const char *const *more) {
    memset(server, 0, sizeof *server);
    snprintf(server->folder, sizeof server->folder, "/tmp/perigee-redis-XXXXXX");
    char *made = mkdtemp(server->folder);
    assert(made);
    snprintf(server->socket, sizeof server->socket, "%s/socket", server->folder);
    snprintf(server->url, sizeof server->url, "unix://%s", server->socket);
    server_launch(server, more);
    return server_await(server);
}

static inline void server_start(server_t *server) {
    bool started = server_try(server, NULL);
    assert(started);
}

static inline void server_kill(server_t *server) {
    if (server->pid <= 0) return;
    kill(server->pid, SIGCONT);
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

static inline void server_stop(server_t *server) {
    char command[128];
    server_kill(server);
    snprintf(command, sizeof command, "rm -rf '%s'", server->folder);
    int err = system(command);
    assert(err == 0);
}

/* A fake server on the test's loop: it reads whole commands and lets the test answer. */
typedef struct fake fake_t;
typedef struct fake_conn {
    uv_tcp_t tcp;
    list_t node;
    fake_t *fake;
    redisReader *reader;
} fake_conn_t;

struct fake {
    loop_t *loop;
    uv_tcp_t listener;
    bool listening;
    int port;
    char url[64];
    list_t conns;
    int accepted, open, commands, reads;
    bool silent; /* answers nothing, the greeting neither */
    bool old;    /* knows no HELLO */
    /* What is not part of the greeting. */
    void (*on_command)(fake_t *fake, fake_conn_t *conn, const redisReply *command);
    void *data;
};

static inline void fake_closed(uv_handle_t *handle) {
    fake_conn_t *conn = handle->data;
    conn->fake->open--;
    redisReaderFree(conn->reader);
    free(conn);
}

static inline void fake_close(fake_conn_t *conn) {
    if (uv_is_closing((uv_handle_t *)&conn->tcp)) return;
    list_remove(&conn->node);
    uv_close((uv_handle_t *)&conn->tcp, fake_closed);
}

static inline void fake_close_all(fake_t *fake) {
    while (!list_empty(&fake->conns))
        fake_close(LIST_OWNER(fake->conns.next, fake_conn_t, node));
}

static inline void fake_written(uv_write_t *write, int status) {
    (void)status;
    free(write->data);
    free(write);
}

static inline void fake_send(fake_conn_t *conn, const char *bytes, size_t len) {
    if (!len || uv_is_closing((uv_handle_t *)&conn->tcp)) return;
    uv_write_t *write = malloc(sizeof *write);
    write->data = malloc(len);
    memcpy(write->data, bytes, len);
    uv_buf_t buffer = uv_buf_init(write->data, (unsigned)len);
    int err = uv_write(write, (uv_stream_t *)&conn->tcp, &buffer, 1, fake_written);
    if (err) fake_written(write, err);
}

static inline void fake_say(fake_conn_t *conn, const char *text) {
    fake_send(conn, text, strlen(text));
}

/* Argument i of a command as a text. */
static inline const char *fake_word(const redisReply *command, size_t i) {
    return i < command->elements ? command->element[i]->str : "";
}

static inline void fake_bulk(fake_conn_t *conn, const char *text) {
    char bytes[300];
    snprintf(bytes, sizeof bytes, "$%zu\r\n%s\r\n", strlen(text), text);
    fake_say(conn, bytes);
}

static inline void fake_serve(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    const char *name = fake_word(command, 0);
    if (strcmp(name, "HELLO") == 0) {
        fake_say(conn, fake->old ? "-ERR unknown command\r\n" : "%1\r\n$5\r\nproto\r\n:3\r\n");
    } else if (strcmp(name, "CLIENT") == 0 || strcmp(name, "AUTH") == 0 ||
               strcmp(name, "SELECT") == 0) {
        fake_say(conn, "+OK\r\n");
    } else {
        fake->commands++;
        fake->on_command(fake, conn, command);
    }
}

static inline void fake_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes) {
    fake_conn_t *conn = stream->data;
    fake_t *fake = conn->fake;
    void *command = NULL;
    if (got > 0) redisReaderFeed(conn->reader, bytes->base, (size_t)got);
    free(bytes->base);
    if (got < 0) fake_close(conn);
    if (got <= 0) return;
    fake->reads++;
    while (redisReaderGetReply(conn->reader, &command) == REDIS_OK && command) {
        if (!fake->silent && !uv_is_closing((uv_handle_t *)stream)) fake_serve(fake, conn, command);
        freeReplyObject(command);
    }
}

static inline void fake_alloc(uv_handle_t *handle, size_t size, uv_buf_t *bytes) {
    (void)handle;
    *bytes = uv_buf_init(malloc(size), (unsigned)size);
}

static inline void fake_accept(uv_stream_t *listener, int status) {
    fake_t *fake = listener->data;
    assert(status == 0);
    fake_conn_t *conn = calloc(1, sizeof *conn);
    conn->fake = fake;
    conn->reader = redisReaderCreate();
    conn->tcp.data = conn;
    uv_tcp_init(loop_uv(fake->loop), &conn->tcp);
    uv_accept(listener, (uv_stream_t *)&conn->tcp);
    uv_tcp_nodelay(&conn->tcp, 1);
    list_init(&conn->node);
    list_push(&fake->conns, &conn->node);
    uv_read_start((uv_stream_t *)&conn->tcp, fake_alloc, fake_read);
    fake->accepted++;
    fake->open++;
}

/* Keeps the port from everybody else; who connects is refused. Returns a descriptor to close. */
static inline int fake_reserve(fake_t *fake) {
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)fake->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int err = bind(fd, (struct sockaddr *)&address, sizeof address);
    assert(err == 0);
    return fd;
}

/* port 0: any. */
static inline void fake_listen(fake_t *fake, int port) {
    struct sockaddr_in address;
    int size = sizeof address;
    fake->listener.data = fake;
    uv_tcp_init(loop_uv(fake->loop), &fake->listener);
    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_bind(&fake->listener, (struct sockaddr *)&address, 0);
    int err = uv_listen((uv_stream_t *)&fake->listener, 128, fake_accept);
    assert(err == 0);
    uv_tcp_getsockname(&fake->listener, (struct sockaddr *)&address, &size);
    fake->listening = true;
    fake->port = ntohs(address.sin_port);
    snprintf(fake->url, sizeof fake->url, "redis://127.0.0.1:%d", fake->port);
}

static inline void fake_unlisten(fake_t *fake) {
    if (fake->listening) uv_close((uv_handle_t *)&fake->listener, NULL);
    fake->listening = false;
}

/* It is gone, and its port stays its own. Returns a descriptor to close. */
static inline int fake_vanish(fake_t *fake) {
    fake_unlisten(fake);
    fake_close_all(fake);
    return fake_reserve(fake);
}

static inline void fake_stop(void *data) {
    fake_close_all(data);
    fake_unlisten(data);
}

/* ECHO x answers x; anything else OK. */
static inline void fake_echo(fake_t *fake, fake_conn_t *conn, const redisReply *command) {
    (void)fake;
    if (strcmp(fake_word(command, 0), "ECHO") == 0)
        fake_bulk(conn, fake_word(command, 1));
    else
        fake_say(conn, "+OK\r\n");
}

/* Closes with the loop. */
static inline void fake_start(fake_t *fake, loop_t *loop) {
    *fake = (fake_t){.loop = loop, .on_command = fake_echo};
    list_init(&fake->conns);
    signal(SIGPIPE, SIG_IGN);
    fake_listen(fake, 0);
    loop_exit_add(loop, fake_stop, fake);
}

#endif
