/* router.c: the router that a URL asks for, and what they all do. */
#include "redis/router.h"
#include <sodium.h>
#include <stdio.h>

#define AGAIN_MS 10 /* before the first repetition of a command that a server was not ready for */

redis_redirect_t redis_later(const redis_command_t *command) {
    bool elsewhere = redis_reply_is(command->reply, "READONLY");
    if (command->replica && command->hops == 0) return (redis_redirect_t){.verdict = REDIS_AGAIN};
    if (!elsewhere && !command->repeatable) return (redis_redirect_t){.verdict = REDIS_PASS};
    uint32_t pause = AGAIN_MS << command->hops;
    pause += randombytes_uniform(pause);
    if (loop_now(redis_loop(command->redis)) + 2 * pause > command->until_ms)
        return (redis_redirect_t){.verdict = REDIS_PASS};
    return (redis_redirect_t){.verdict = REDIS_AGAIN, .after_ms = pause};
}

static const char *fault_of(const redis_url_t *url, const redis_url_t *read) {
    if (!read) return NULL;
    if (url->kind == REDIS_CLUSTER) return "a Cluster reads from its own replicas: replicas=yes";
    if (read->kind != REDIS_SINGLE) return "the URL for reading names no single server";
    return NULL;
}

redis_router_t *redis_router_new(redis_t *redis, char *why, size_t size) {
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
