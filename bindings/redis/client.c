/* client.c: commands routed, and redirected where a server says so; the client opened with the router that its URL asks
   for, and closed with the loop. */
#include "redis/redis.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/lanes.h"
#include "redis/router.h"
#include "redis/subscribe.h"
#include "redis/tls.h"

#define BOUND 10000
#define REPLY_MAX ((size_t)16 * 1024 * 1024)

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
        redis_finish_later(command, ERR_CLOSED, "the server is ending");
    }
    redis_leave(redis);
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

static const char *fault_of(const redis_url_t *url, const redis_url_t *read) {
    if (!read) return NULL;
    if (url->kind == REDIS_CLUSTER) return "a Cluster reads from its own replicas: replicas=yes";
    if (read->kind != REDIS_SINGLE) return "the URL for reading names no single server";
    return NULL;
}

static redis_router_t *open_router(redis_t *redis, char *why, size_t size) {
    const redis_url_t *url = redis_url(redis);
    const char *fault = fault_of(url, redis_read_url(redis));
    if (fault) {
        snprintf(why, size, "the Redis URL: %s", fault);
        return NULL;
    }
    if (url->kind == REDIS_CLUSTER) return redis_cluster_new(redis, why, size);
    if (url->kind == REDIS_SENTINEL) return redis_sentinel_new(redis, why, size);
    return redis_single_new(redis, why, size);
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
    if (read_urls(redis, why, size) == 0) redis->router = open_router(redis, why, size);
    if (redis->router && loop_exit_add(loop, close_client, redis) == 0) return redis;
    redis->closing = true;
    if (redis->router) redis->router->close(redis->router);
    redis_leave(redis);
    return NULL;
}
