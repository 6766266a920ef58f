/* router.c: the router that a URL asks for. */
#include "redis/router.h"
#include <stdio.h>

redis_router_t *redis_router_new(redis_t *redis, char *why, size_t size) {
    switch (redis_url(redis)->kind) {
    case REDIS_SINGLE:
        return redis_single_new(redis, why, size);
    case REDIS_CLUSTER:
        if (!redis_read_url(redis)) return redis_cluster_new(redis, why, size);
        snprintf(why, size, "a Redis Cluster reads from its own replicas: replicas=yes");
        return NULL;
    default:
        snprintf(why, size, "the Redis URL: this kind of server group is not supported");
        return NULL;
    }
}
