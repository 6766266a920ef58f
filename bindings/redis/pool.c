/* pool.c: connections of one's own to the servers of a client, and what a holder leaves open on them. */
#include <stdlib.h>
#include "base/err.h"
#include "redis/command.h"
#include "redis/refuse.h"
#include "redis/router.h"

#define WAITING_PER_CONNECTION 4 /* bounds the queue of leases */

typedef struct owned {
    pooled_t pooled;
    link_t *link; /* NULL: lost while it was leased */
    redis_endpoint_t at;
    redis_access_t access;
    bool watching, multi;
} owned_t;

static owned_t *owned_of(const pooled_t *pooled) {
    return LIST_OWNER(pooled, owned_t, pooled);
}

static void on_up(void *data, link_t *link) {
    (void)link;
    pooled_up(data);
}

static void on_down(void *data, link_t *link, const char *detail) {
    (void)link;
    owned_of(data)->link = NULL;
    pooled_down(data, detail);
}

static const link_events_t EVENTS = {.up = on_up, .down = on_down};

static void *server(void *engine, span_t key) {
    redis_router_t *router = ((redis_t *)engine)->router;
    return router->pick(router, key, false);
}

static const char *fault(const void *node) {
    return redis_node_down(node) ? "the server cannot be reached" : NULL;
}

static bool leads_to(const pooled_t *pooled, const void *node) {
    return redis_endpoint_eq(&owned_of(pooled)->at, redis_node_at(node));
}

static pooled_t *open_to(void *engine, void *node) {
    const redis_t *redis = engine;
    owned_t *owned = calloc(1, sizeof *owned);
    if (!owned) return NULL;
    owned->at = *redis_node_at(node);
    owned->access = *redis_node_access(node);
    link_options_t options = {.loop = redis->loop,
        .at = owned->at,
        .access = &owned->access,
        .connect_ms = redis->options.connect_ms,
        .events = &EVENTS,
        .data = &owned->pooled};
    owned->link = link_open(&options);
    if (owned->link) return &owned->pooled;
    free(owned);
    return NULL;
}

static void close_one(pooled_t *pooled) {
    owned_t *owned = owned_of(pooled);
    if (owned->link) link_close(owned->link);
    free(owned);
}

/* None is cleaned: one that has something open on it is closed. */
static pooled_fate_t fate(const pooled_t *pooled, bool clean) {
    const owned_t *owned = owned_of(pooled);
    bool idle = owned->link && link_is_up(owned->link) && link_load(owned->link) == 0;
    return clean && idle && !owned->watching && !owned->multi ? POOLED_KEEP : POOLED_CLOSE;
}

static const pool_ops_t OPS = {.server = server,
    .fault = fault,
    .leads_to = leads_to,
    .open = open_to,
    .close = close_one,
    .fate = fate};

static pool_t *new_pool(redis_t *redis) {
    const redis_options_t *options = &redis->options;
    return pool_new(&(pool_options_t){.loop = redis->loop,
        .ops = &OPS,
        .engine = redis,
        .most = options->pool_max,
        .idle = options->pool_idle,
        .least = options->pool_min,
        .waiting = (size_t)options->pool_max * WAITING_PER_CONNECTION,
        .connect_ms = options->connect_ms});
}

int redis_lease(redis_t *redis, lease_t *lease) {
    if (redis->closing) return ERR_CLOSED;
    if (!redis->pool) redis->pool = new_pool(redis);
    return redis->pool ? lease_begin(redis->pool, lease) : ERR_NO_MEMORY;
}

/* What the connection has open decides whether somebody else may have it. */
static void note(owned_t *owned, redis_nature_t nature) {
    if (nature == REDIS_WATCH) owned->watching = true;
    if (nature == REDIS_MULTI) owned->multi = true;
    if (nature == REDIS_UNWATCH && !owned->multi) owned->watching = false;
    if (nature == REDIS_EXEC) owned->watching = owned->multi = false;
}

/* What is owned is not redirected, but what its answer tells about the servers is for everybody. */
static void on_settled(redis_command_t *command) {
    redis_router_t *router = command->redis->router;
    bool tells = command->reply && !command->redis->closing && redis_is_routing(command->reply);
    if (tells) router->on_error(router, NULL, command);
    redis_finish(command);
}

int redis_lease_submit(lease_t *lease, redis_command_t *command) {
    pooled_t *pooled = lease_pooled(lease);
    owned_t *owned = pooled ? owned_of(pooled) : NULL;
    if (!owned || !owned->link) return ERR_CLOSED;
    redis_t *redis = pool_engine(lease->pool);
    int err = redis_check(redis, command, true);
    if (err) return err;
    redis_begin(redis, command, on_settled);
    err = link_send(owned->link, command);
    if (err) {
        command->err = err;
        loop_defer(redis->loop, &command->ended);
        return 0;
    }
    note(owned, redis_nature(command->argv, command->argc));
    return 0;
}
