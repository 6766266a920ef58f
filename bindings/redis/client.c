/* client.c: a command's life: checked, routed, redirected where a server says so, ended once. */
#include "redis/client.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/lanes.h"
#include "redis/refuse.h"
#include "redis/tls.h"

#define BOUND 10000
#define REPLY_MAX ((size_t)16 * 1024 * 1024)

static void gone(redis_t *redis) {
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
    if (redis->closing && redis->count == 0) gone(redis);
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
    return ERR_INVALID;
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

static span_t key_of(const redis_command_t *command) {
    return command->key ? command->argv[command->key] : (span_t){"", 0};
}

static void route(redis_command_t *command) {
    redis_t *redis = command->redis;
    bool replica = command->replica && !command->hops; /* one that failed is not asked again */
    redis_node_t *node = redis->router->pick(redis->router, key_of(command), replica);
    command->asking = false;
    if (node)
        redis_node_send(node, command);
    else
        list_push(&redis->unrouted, &command->node);
}

static void route_later(redis_command_t *command, uint64_t after_ms) {
    redis_t *redis = command->redis;
    uint64_t at = loop_now(redis->loop) + after_ms;
    list_push(&redis->unrouted, &command->node);
    if (!deadline_armed(&redis->retry) || redis->retry.at_ms > at)
        deadline_set(redis->loop, &redis->retry, at);
}

static void follow(redis_command_t *command, redis_redirect_t redirect) {
    command->hops++;
    command->reply = NULL;
    command->err = 0; /* of the attempt before; an answer sets none */
    command->detail[0] = '\0';
    if (redirect.verdict == REDIS_ASK) {
        command->asking = true;
        redis_node_send(redirect.node, command);
    } else if (redirect.after_ms) {
        route_later(command, redirect.after_ms);
    } else {
        route(command);
    }
}

bool redis_is_routing(const redisReply *reply) {
    static const char *const CODES[] = {
        "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY"};
    if (reply->type != REDIS_REPLY_ERROR) return false;
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        if (redis_reply_is(reply, CODES[i])) return true;
    return false;
}

/* Whether a command without an answer may go to the router again: it was never sent. One that was sent on a connection
   that is lost has run or not, and is reported, whatever it is. */
static bool may_route_again(const redis_command_t *command) {
    if (command->redis->closing || command->hops >= REDIS_HOPS_MAX) return false;
    return command->err == ERR_UNAVAILABLE && !command->at;
}

static void on_settled(redis_command_t *command) {
    redis_router_t *router = command->redis->router;
    redis_redirect_t redirect = {.verdict = REDIS_PASS};
    if (!command->reply && may_route_again(command))
        redirect.verdict = REDIS_AGAIN;
    else if (command->reply && command->hops < REDIS_HOPS_MAX && redis_is_routing(command->reply))
        redirect = router->on_error(router, command->at, command);
    if (redirect.verdict == REDIS_PASS)
        redis_finish(command);
    else
        follow(command, redirect);
}

int redis_submit(redis_t *redis, redis_command_t *command) {
    int err = redis_check(redis, command, false);
    if (err) return err;
    redis_begin(redis, command, on_settled);
    route(command);
    return 0;
}

void redis_ask(redis_t *redis, redis_node_t *node, redis_command_t *command) {
    redis_begin(redis, command, redis_finish);
    redis_node_send(node, command);
}

void redis_cancel(redis_command_t *command) {
    if (!command->settle) return;
    detach(command);
    fail(command, ERR_CANCELLED, err_text(ERR_CANCELLED));
    command->settle = redis_finish;
    loop_defer(command->redis->loop, &command->ended);
}

static void reroute(redis_t *redis) {
    list_t due;
    list_init(&due);
    list_splice(&due, &redis->unrouted);
    deadline_clear(&redis->retry);
    for (list_t *node; (node = list_shift(&due));)
        route(LIST_OWNER(node, redis_command_t, node));
    if (redis->pool) pool_serve(redis->pool);
}

static void on_rerouted(deferred_t *deferred) {
    reroute(LIST_OWNER(deferred, redis_t, rerouted));
}

static void on_retry(deadline_t *deadline) {
    reroute(LIST_OWNER(deadline, redis_t, retry));
}

void redis_rerouted(redis_t *redis) {
    if (!redis->closing) loop_defer(redis->loop, &redis->rerouted);
}

void redis_on_node(redis_t *redis, redis_node_t *node, bool up) {
    redis->router->on_node(redis->router, node, up);
}

void redis_left(redis_t *redis, const redis_endpoint_t *at) {
    if (redis->subscriber) redis_subscriber_leave(redis->subscriber, at);
}

bool redis_up(const redis_t *redis) {
    return !redis->closing && redis->router->up(redis->router);
}

static void close_client(void *data) {
    redis_t *redis = data;
    redis->closing = true;
    deadline_clear(&redis->retry);
    deferred_clear(&redis->rerouted);
    if (redis->pool) pool_delete(redis->pool);
    redis->pool = NULL;
    if (redis->subscriber) redis_subscriber_close(redis->subscriber);
    redis->router->close(redis->router);
    for (list_t *node; (node = list_shift(&redis->unrouted));) {
        redis_command_t *command = LIST_OWNER(node, redis_command_t, node);
        fail(command, ERR_CLOSED, "the server is ending");
        loop_defer(redis->loop, &command->ended);
    }
    if (redis->count == 0) gone(redis);
}

static int prepare(
    const redis_t *redis, redis_url_t *url, redis_access_t *access, char *why, size_t size) {
    *access = (redis_access_t){.user = url->user,
        .password = url->password,
        .db = url->db,
        .reply_max = redis->options.reply_max,
        .tls_name = url->name,
        .resp2 = url->resp2};
    if (url->tls) access->tls = redis_tls_new(url, why, size);
    return url->tls && !access->tls ? ERR_INVALID : 0;
}

static int read_urls(redis_t *redis, char *why, size_t size) {
    const redis_options_t *options = &redis->options;
    int err = redis_url_parse(span_of(options->url), &redis->url, why, size);
    if (!err && options->read_url && options->read_url[0]) {
        redis->has_read_url = true;
        err = redis_url_parse(span_of(options->read_url), &redis->read_url, why, size);
    }
    if (!err) err = prepare(redis, &redis->url, &redis->main, why, size);
    if (!err && redis->has_read_url)
        err = prepare(redis, &redis->read_url, &redis->read, why, size);
    redis->sentinel = redis->main;
    redis->sentinel.user = redis->url.sentinel_user;
    redis->sentinel.password = redis->url.sentinel_password;
    redis->sentinel.db = 0;
    redis->options.url = redis->options.read_url = NULL; /* the caller's, perhaps with a password */
    return err;
}

static void fill_options(redis_options_t *options) {
    if (options->shared <= 0) options->shared = 2;
    if (options->shared > LANES_MOST) options->shared = LANES_MOST;
    if (options->pool_max <= 0) options->pool_max = 50;
    if (options->pool_idle <= 0) options->pool_idle = 20;
    if (options->pool_min <= 0) options->pool_min = 10;
    if (options->pool_min > options->pool_max) options->pool_min = options->pool_max;
    if (!options->connect_ms) options->connect_ms = 1000;
    if (!options->command_ms) options->command_ms = 1000;
    if (!options->bound) options->bound = BOUND;
    if (!options->reply_max) options->reply_max = REPLY_MAX;
}

redis_t *redis_new(loop_t *loop, const redis_options_t *options, char *why, size_t size) {
    redis_t *redis = calloc(1, sizeof *redis);
    snprintf(why, size, "%s", err_text(ERR_NO_MEMORY));
    if (!redis) return NULL;
    redis->loop = loop;
    redis->options = *options;
    fill_options(&redis->options);
    list_init(&redis->unrouted);
    deadline_init(&redis->retry, on_retry);
    deferred_init(&redis->rerouted, on_rerouted);
    if (read_urls(redis, why, size) == 0) redis->router = redis_router_new(redis, why, size);
    if (redis->router && loop_exit_add(loop, close_client, redis) == 0) return redis;
    redis->closing = true;
    if (redis->router) redis->router->close(redis->router);
    gone(redis);
    return NULL;
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
