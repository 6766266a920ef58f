/* router.c: the router that a URL asks for. */
#include "redis/router.h"
#include <stdio.h>

redis_router_t *redis_router_new(redis_t *redis, char *why, size_t size) {
    switch (redis_url(redis)->kind) {
    case REDIS_SINGLE:
        return redis_single_new(redis, why, size);
    default:
        snprintf(why, size, "the Redis URL: this kind of server group is not supported");
        return NULL;
    }
}
