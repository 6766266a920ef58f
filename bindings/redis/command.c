/* command.c: a command's life: checked, begun, ended once; and what the floors share of their client. */
#include "redis/command.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "redis/refuse.h"
#include "redis/tls.h"

void redis_leave(redis_t *redis) {
    if (!redis->closing || redis->count) return;
    redis_tls_delete(redis->main.tls);
    if (redis->read.tls != redis->main.tls) redis_tls_delete(redis->read.tls);
    redis_url_wipe(&redis->url);
    redis_url_wipe(&redis->read_url);
    free(redis);
}

/* Takes the command from wherever it is; an answer still to come finds nobody. */
static void detach(redis_command_t *command) {
    link_forget(command);
    list_remove(&command->node);
    deferred_clear(&command->ended);
    deadline_clear(&command->timer);
}

void redis_finish(redis_command_t *command) {
    redis_t *redis = command->redis;
    detach(command);
    if (!command->reply && redis->closing && command->err != ERR_CANCELLED)
        command->err = ERR_CLOSED;
    command->settle = NULL;
    redis->count--;
    command->done(command);
    redis_leave(redis);
}

static void fail(redis_command_t *command, int err, const char *detail) {
    command->reply = NULL;
    command->err = err;
    snprintf(command->detail, sizeof command->detail, "%s", detail);
}

static void on_deadline(deadline_t *deadline) {
    redis_command_t *command = LIST_OWNER(deadline, redis_command_t, timer);
    fail(command, ERR_TIMEOUT, command->link ? "no answer in time" : "not sent in time");
    redis_finish(command);
}

static void on_ended(deferred_t *deferred) {
    redis_command_t *command = LIST_OWNER(deferred, redis_command_t, ended);
    command->settle(command);
}

void redis_finish_later(redis_command_t *command, int err, const char *detail) {
    fail(command, err, detail);
    command->settle = redis_finish;
    deferred_init(&command->ended, on_ended);
    loop_defer(command->redis->loop, &command->ended);
}

void redis_begin(redis_t *redis, redis_command_t *command, void (*settle)(redis_command_t *)) {
    uint64_t soon = loop_now(redis->loop) + redis->options.command_ms;
    command->until_ms = command->deadline_ms ? command->deadline_ms : soon;
    command->redis = redis;
    command->settle = settle;
    command->reply = NULL;
    command->err = command->hops = 0;
    command->detail[0] = '\0';
    command->link = NULL;
    command->at = NULL;
    command->asking = false;
    list_init(&command->node);
    deferred_init(&command->ended, on_ended);
    deadline_init(&command->timer, on_deadline);
    deadline_set(redis->loop, &command->timer, command->until_ms);
    redis->count++;
}

static int refuse(redis_command_t *command, const char *why) {
    span_t name = command->argc > 0 ? command->argv[0] : (span_t){"", 0};
    int length = name.len < 24 ? (int)name.len : 24;
    snprintf(command->detail, sizeof command->detail, "%.*s %s", length, name.ptr, why);
    return ERR_INTERNAL; /* whoever wrote the command is to blame, no client's input */
}

int redis_check(redis_t *redis, redis_command_t *command, bool owned) {
    if (redis->closing) return ERR_CLOSED;
    if (command->argc < 1 || command->key < 0 || command->key >= command->argc)
        return refuse(command, "the command has no name or not the key it says");
    if (redis->count >= redis->options.bound) return ERR_BUSY;
    redis_nature_t nature = redis_nature(command->argv, command->argc);
    if (nature == REDIS_DRIVERS) return refuse(command, "is the driver's own business");
    if (nature != REDIS_PLAIN && !owned) return refuse(command, "needs a connection of its own");
    return 0;
}

bool redis_is_routing(const redisReply *reply) {
    static const char *const CODES[] = {
        "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY"};
    if (reply->type != REDIS_REPLY_ERROR) return false;
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        if (redis_reply_is(reply, CODES[i])) return true;
    return false;
}

void redis_cancel(redis_command_t *command) {
    if (!command->settle) return;
    detach(command);
    redis_finish_later(command, ERR_CANCELLED, err_text(ERR_CANCELLED));
}

void redis_rerouted(redis_t *redis) {
    if (!redis->closing) loop_defer(redis->loop, &redis->rerouted);
}

loop_t *redis_loop(const redis_t *redis) {
    return redis->loop;
}

uint64_t redis_connect_ms(const redis_t *redis) {
    return redis->options.connect_ms;
}

uint64_t redis_command_ms(const redis_t *redis) {
    return redis->options.command_ms;
}

int redis_links(const redis_t *redis) {
    return redis->options.shared;
}

const redis_url_t *redis_url(const redis_t *redis) {
    return &redis->url;
}

const redis_url_t *redis_read_url(const redis_t *redis) {
    return redis->has_read_url ? &redis->read_url : NULL;
}

const redis_access_t *redis_main_access(const redis_t *redis) {
    return &redis->main;
}

const redis_access_t *redis_read_access(const redis_t *redis) {
    return &redis->read;
}

const redis_access_t *redis_sentinel_access(const redis_t *redis) {
    return &redis->sentinel;
}
