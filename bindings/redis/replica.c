/* replica.c: the replicas of one master that are read from, in turn. */
#include "redis/replica.h"
#include "redis/command.h"

void redis_replicas_create(redis_replicas_t *replicas, redis_t *redis, const redis_access_t *access,
    redis_drain_t *drain) {
    *replicas = (redis_replicas_t){.redis = redis, .access = access, .drain = drain};
}

static bool is_listed(const redis_node_t *node, const redis_endpoint_t *at, int count) {
    for (int i = 0; i < count; i++)
        if (redis_endpoint_eq(redis_node_at(node), &at[i])) return true;
    return false;
}

static void drop_others(redis_replicas_t *replicas, const redis_endpoint_t *at, int count) {
    for (int i = replicas->count - 1; i >= 0; i--) {
        if (is_listed(replicas->nodes[i], at, count)) continue;
        redis_drain_add(replicas->drain, replicas->nodes[i]);
        replicas->nodes[i] = replicas->nodes[--replicas->count];
    }
}

static void add(redis_replicas_t *replicas, const redis_endpoint_t *at) {
    redis_node_options_t options = {.redis = replicas->redis,
        .at = *at,
        .access = replicas->access,
        .links = redis_links(replicas->redis)};
    for (int i = 0; i < replicas->count; i++)
        if (redis_endpoint_eq(redis_node_at(replicas->nodes[i]), at)) return;
    if (replicas->count == REDIS_REPLICAS_MAX) return;
    redis_node_t *node = redis_node_new(&options);
    if (node) replicas->nodes[replicas->count++] = node;
}

void redis_replicas_set(redis_replicas_t *replicas, const redis_endpoint_t *at, int count) {
    drop_others(replicas, at, count);
    for (int i = 0; i < count; i++)
        add(replicas, &at[i]);
}

redis_node_t *redis_replicas_pick(redis_replicas_t *replicas) {
    for (int i = 0; i < replicas->count; i++) {
        replicas->turn = (replicas->turn + 1) % replicas->count;
        redis_node_t *node = replicas->nodes[replicas->turn];
        if (redis_node_answers(node)) return node;
    }
    return NULL;
}
