/* link.c: one pipelined connection: its descriptor is polled, its answers are handed to whoever stands first in the
   queue. hiredis reads and writes; its asynchronous half is not used, because it asserts on what a server sends, knows
   neither deadlines nor waiters that left, and would keep a second queue beside ours. */
#include "redis/link.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <hiredis/hiredis_ssl.h>
#include "base/err.h"
#include "redis/dial.h"
#include "redis/encode.h"
#include "redis/greet.h"
#include "redis/intake.h"
#include "redis/tls.h"

typedef enum { DIALLING, SECURING, GREETING, UP, CLOSED } link_state_t;

/* A command on its way. */
typedef struct place {
    redis_command_t *command;  /* NULL: forgotten, the answer is swallowed */
    uint64_t sent_ms, span_ms; /* the server's time for it runs until sent + span */
} place_t;

struct link {
    link_options_t options;
    link_state_t state;
    redis_dial_t *dial;
    redisContext *context;
    redis_intake_t intake;
    SSL *session; /* the context's */
    uv_poll_t poll;
    bool polled;
    int interest;
    deadline_t opening, watch;
    deferred_t flush;
    redis_greeting_t greeting;
    /* A ring: places head … tail - 1, modulo the capacity, which is a power of two. */
    place_t *places;
    uint64_t head, tail;
    size_t capacity;
    uint64_t heard_ms; /* when the last answer came */
    uint64_t watched;  /* the place the watch is armed for */
};

static place_t *place_at(const link_t *link, uint64_t number) {
    return &link->places[number & (link->capacity - 1)];
}

static bool grow(link_t *link) {
    size_t capacity = link->capacity ? link->capacity * 2 : 16;
    place_t *places = malloc(capacity * sizeof *places);
    if (!places) return false;
    for (uint64_t i = link->head; i < link->tail; i++)
        places[i & (capacity - 1)] = *place_at(link, i);
    free(link->places);
    link->places = places;
    link->capacity = capacity;
    return true;
}

/* Room for the one or two places a command takes. */
static bool make_room(link_t *link) {
    return link->tail - link->head + 2 <= link->capacity || grow(link);
}

static void push(link_t *link, redis_command_t *command, uint64_t sent_ms, uint64_t span_ms) {
    *place_at(link, link->tail++) = (place_t){command, sent_ms, span_ms};
}

static void on_ended(deferred_t *deferred) {
    redis_command_t *command = LIST_OWNER(deferred, redis_command_t, ended);
    command->settle(command);
}

static void report_all(link_t *link, const char *detail) {
    for (; link->head < link->tail; link->head++) {
        redis_command_t *command = place_at(link, link->head)->command;
        if (!command) continue;
        command->link = NULL;
        command->reply = NULL;
        command->err = ERR_CLOSED;
        snprintf(command->detail, sizeof command->detail, "%s", detail);
        deferred_init(&command->ended, on_ended);
        loop_defer(link->options.loop, &command->ended);
    }
}

static void free_link(link_t *link) {
    free(link->places);
    free(link);
}

static void on_poll_closed(uv_handle_t *handle) {
    free_link(handle->data);
}

/* The memory outlives every caller on the stack: while there is a poll handle, it goes with that. Without one nothing
   of the link is on the stack but what has just called this. */
static void release(link_t *link) {
    if (link->dial) redis_dial_stop(link->dial);
    deadline_clear(&link->opening);
    deadline_clear(&link->watch);
    deferred_clear(&link->flush);
    if (link->polled) uv_close((uv_handle_t *)&link->poll, on_poll_closed);
    if (link->context) redisFree(link->context); /* after the handle: it closes the descriptor */
    link->context = NULL;
    if (!link->polled) free_link(link);
}

void link_close(link_t *link) {
    if (link->state == CLOSED) return;
    link->state = CLOSED;
    report_all(link, "the connection was closed");
    release(link);
}

/* The connection is over, and not by our wish. Nothing touches the link after this. */
static void drop(link_t *link, const char *reason) {
    char server[REDIS_HOST_MAX + 16], detail[REDIS_DETAIL_MAX];
    if (link->state == CLOSED) return;
    link->state = CLOSED;
    redis_endpoint_text(&link->options.at, server, sizeof server);
    snprintf(detail, sizeof detail, "%.60s: %.57s", server, reason);
    report_all(link, detail);
    link->options.events->down(link->options.data, link, detail);
    release(link);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void want(link_t *link, int interest) {
    if (link->interest == interest) return;
    link->interest = interest;
    uv_poll_start(&link->poll, interest, on_poll);
}

/* A place that is first and forgotten is given twice its time, and once its time since the place before it was
   answered: a server that has stood still and works off its queue is not late. */
static void watch_head(link_t *link) {
    if (deadline_armed(&link->watch) || link->head == link->tail) return;
    const place_t *first = place_at(link, link->head);
    if (first->command) return;
    uint64_t twice = first->sent_ms + 2 * first->span_ms;
    uint64_t least = loop_now(link->options.loop) + first->span_ms;
    link->watched = link->head;
    deadline_set(link->options.loop, &link->watch, twice > least ? twice : least);
}

/* The answer for whoever stands first. */
static void answer(link_t *link, redisReply *reply) {
    redis_command_t *command = place_at(link, link->head++)->command;
    link->heard_ms = loop_now(link->options.loop);
    if (!command) return;
    command->link = NULL;
    command->reply = reply;
    command->settle(command);
}

static void greeted(link_t *link, const redisReply *reply) {
    char why[128];
    int result = redis_greet_answer(&link->greeting, link->options.access, reply, why, sizeof why);
    if (result < 0) {
        drop(link, why);
    } else if (result > 0) {
        link->state = UP;
        deadline_clear(&link->opening);
        link->options.events->up(link->options.data, link);
    }
}

static void unasked(link_t *link, const redisReply *reply) {
    const link_events_t *events = link->options.events;
    if (events->message)
        events->message(link->options.data, link, reply);
    else if (reply->type == REDIS_REPLY_ERROR) /* too many clients, and then the end */
        drop(link, "the server sent an error and no command was open");
    else if (reply->type != REDIS_REPLY_PUSH)
        drop(link, "an answer came that no command waits for");
}

static void take(link_t *link, redisReply *reply) {
    if (reply->type == REDIS_REPLY_ATTR) return; /* says something about the answer that follows */
    if (link->state == GREETING && reply->type != REDIS_REPLY_PUSH)
        greeted(link, reply);
    else if (reply->type == REDIS_REPLY_PUSH || link->head == link->tail)
        unasked(link, reply);
    else
        answer(link, reply);
}

/* Only a command's answer can be done without. */
static void take_too_large(link_t *link) {
    bool asked = link->intake.type != REDIS_REPLY_PUSH && link->intake.type != REDIS_REPLY_ATTR;
    if (link->state != UP || !asked || link->head == link->tail) {
        drop(link, "a message takes more than redis_reply_max_bytes");
        return;
    }
    redis_command_t *command = place_at(link, link->head++)->command;
    link->heard_ms = loop_now(link->options.loop);
    if (!command) return;
    command->link = NULL;
    command->reply = NULL;
    command->err = ERR_TOO_LARGE;
    snprintf(command->detail, sizeof command->detail,
        "the answer takes more than %zu bytes (redis_reply_max_bytes)", link->intake.max);
    command->settle(command);
}

/* Whoever gets an answer may close the link, so its state is looked at after each. */
static void take_all(link_t *link) {
    while (link->state != CLOSED) {
        redisReply *reply;
        bool too_large;
        if (redis_intake_next(&link->intake, link->context, &reply, &too_large) != REDIS_OK) {
            drop(link, link->context->errstr);
            return;
        }
        if (too_large)
            take_too_large(link);
        else if (reply)
            take(link, reply);
        else
            break;
        freeReplyObject(reply);
    }
    if (link->state != CLOSED) watch_head(link);
}

static const char *fault_of(const link_t *link) {
    return link->context->errstr[0] ? link->context->errstr : "the connection broke";
}

static void read_in(link_t *link) {
    do {
        if (link->session) redis_tls_forget_errors();
        if (redis_intake_read(&link->intake, link->context) != REDIS_OK) {
            drop(link, fault_of(link));
            return;
        }
        take_all(link);
        if (link->state != CLOSED && redis_intake_is_flooded(&link->intake))
            drop(link, "an answer takes many times redis_reply_max_bytes");
    } while (link->state != CLOSED && link->session && redis_tls_pending(link->session));
}

static void write_out(link_t *link) {
    int done = 0;
    if (link->session) redis_tls_forget_errors();
    if (redisBufferWrite(link->context, &done) != REDIS_OK)
        drop(link, fault_of(link));
    else
        want(link, done ? UV_READABLE : UV_READABLE | UV_WRITABLE);
}

static void on_flush(deferred_t *deferred) {
    write_out(LIST_OWNER(deferred, link_t, flush));
}

static void greet(link_t *link) {
    redis_line_t line;
    link->state = GREETING;
    redis_greet_begin(&link->greeting, link->options.access);
    for (int i = 0; i < link->greeting.count; i++) {
        redis_greet_line(&link->greeting, link->options.access, i, &line);
        if (redis_encode(&link->context->obuf, line.argv, line.argc) == 0) continue;
        drop(link, err_text(ERR_NO_MEMORY));
        return;
    }
    write_out(link);
}

static void secure(link_t *link) {
    char why[64];
    int result = redis_tls_handshake(link->session, why, sizeof why);
    if (result < 0)
        drop(link, why);
    else if (result == 1)
        greet(link);
    else
        want(link, result == 2 ? UV_WRITABLE : UV_READABLE);
}

static void begin_tls(link_t *link) {
    const redis_access_t *access = link->options.access;
    bool named = access->tls_name && access->tls_name[0];
    link->session =
        redis_tls_session(access->tls, named ? access->tls_name : link->options.at.host);
    redis_tls_forget_errors();
    if (!link->session) {
        drop(link, "TLS: no name to check the certificate against");
        return;
    }
    link->state = SECURING;
    if (redisInitiateSSL(link->context, link->session) == REDIS_OK) {
        secure(link);
        return;
    }
    char why[64];
    redis_tls_explain(link->session, why, sizeof why);
    redis_tls_free(link->session); /* hiredis takes it over only when it succeeds */
    link->session = NULL;
    drop(link, why);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    link_t *link = poll->data;
    if (status < 0) {
        /* libuv has stopped, and knows no more than that there is an error: reading tells. */
        link->interest = 0;
        want(link, UV_READABLE);
    }
    if (link->state == SECURING) {
        secure(link);
    } else {
        /* Answers first: a peer that has gone leaves them behind, and writing would find out about that first. */
        if (status < 0 || (events & UV_READABLE)) read_in(link);
        if (link->state != CLOSED && (events & UV_WRITABLE)) write_out(link);
    }
}

static int adopt(link_t *link, int fd) {
    redisOptions options = {.type = REDIS_CONN_USERFD, .options = REDIS_OPT_NONBLOCK};
    options.endpoint.fd = fd;
    link->context = redisConnectWithOptions(&options);
    if (!link->context) {
        close(fd);
        return UV_ENOMEM;
    }
    redis_intake_create(&link->intake, link->context->reader, link->options.access->reply_max);
    int err = uv_poll_init(loop_uv(link->options.loop), &link->poll, fd);
    if (err) return err;
    link->poll.data = link;
    link->polled = true;
    return 0;
}

static void on_dialled(void *data, int fd, int err) {
    link_t *link = data;
    link->dial = NULL;
    if (!err) err = adopt(link, fd);
    if (err)
        drop(link, uv_strerror(err));
    else if (link->options.access->tls)
        begin_tls(link);
    else
        greet(link);
}

static void on_opening(deadline_t *deadline) {
    link_t *link = LIST_OWNER(deadline, link_t, opening);
    drop(link, link->state == DIALLING ? "no connection in time"
                                       : "it did not answer the greeting in time");
}

/* What has arrived is read first: perhaps it was this process that stood still. */
static void on_watch(deadline_t *deadline) {
    link_t *link = LIST_OWNER(deadline, link_t, watch);
    read_in(link);
    if (link->state == CLOSED) return;
    if (link->head == link->watched && link->head < link->tail)
        drop(link, "no answer in twice the command's time");
    else
        watch_head(link);
}

link_t *link_open(const link_options_t *options) {
    link_t *link = calloc(1, sizeof *link);
    if (!link) return NULL;
    link->options = *options;
    link->state = DIALLING;
    deadline_init(&link->opening, on_opening);
    deadline_init(&link->watch, on_watch);
    deferred_init(&link->flush, on_flush);
    uint64_t until = loop_now(options->loop) + options->connect_ms;
    link->dial = redis_dial_new(options->loop, &options->at, until, on_dialled, link);
    if (!link->dial) {
        free(link);
        return NULL;
    }
    deadline_set(options->loop, &link->opening, until);
    return link;
}

static void flush_later(link_t *link) {
    if (!link_is_writing(link)) loop_defer(link->options.loop, &link->flush);
}

int link_say(link_t *link, const span_t *argv, int argc) {
    int err = redis_encode(&link->context->obuf, argv, argc);
    if (!err) flush_later(link);
    return err;
}

static bool is_stalled(const link_t *link, const redis_command_t *command) {
    size_t unsent = sdslen(link->context->obuf), more = 0;
    for (int i = 0; i < command->argc; i++)
        more += command->argv[i].len;
    return unsent && unsent + more > LINK_UNSENT_MAX;
}

int link_send(link_t *link, redis_command_t *command) {
    static const span_t asking[] = {{"ASKING", 6}};
    uint64_t now = loop_now(link->options.loop);
    uint64_t span = command->until_ms > now ? command->until_ms - now : 1;
    if (span < link->options.span_ms) span = link->options.span_ms;
    size_t before = sdslen(link->context->obuf);
    if (is_stalled(link, command)) return ERR_BUSY;
    if (!make_room(link)) return ERR_NO_MEMORY;
    int err = command->asking ? redis_encode(&link->context->obuf, asking, 1) : 0;
    if (!err) err = redis_encode(&link->context->obuf, command->argv, command->argc);
    if (err) {
        sdssetlen(link->context->obuf, before);
        return err;
    }
    if (command->asking) push(link, NULL, now, span);
    command->link = link;
    command->place = link->tail;
    push(link, command, now, span);
    flush_later(link);
    return 0;
}

void link_forget(redis_command_t *command) {
    link_t *link = command->link;
    if (!link) return;
    place_at(link, command->place)->command = NULL;
    command->link = NULL;
    watch_head(link);
}

bool link_is_up(const link_t *link) {
    return link->state == UP;
}

uint64_t link_heard_ms(const link_t *link) {
    return link->heard_ms;
}

uint64_t link_silent_since(const link_t *link) {
    if (link->head == link->tail) return 0;
    const place_t *first = place_at(link, link->head);
    uint64_t since = first->sent_ms > link->heard_ms ? first->sent_ms : link->heard_ms;
    return loop_now(link->options.loop) >= since + first->span_ms ? since : 0;
}

bool link_is_writing(const link_t *link) {
    return !list_empty(&link->flush.node);
}

size_t link_load(const link_t *link) {
    return (size_t)(link->tail - link->head);
}

int link_protocol(const link_t *link) {
    return link->greeting.protocol;
}

const redis_endpoint_t *link_at(const link_t *link) {
    return &link->options.at;
}
