/* router.c: what all routers do. */
#include "redis/router.h"
#include <sodium.h>

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

void redis_ask(redis_t *redis, redis_node_t *node, redis_command_t *command) {
    redis_begin(redis, command, redis_finish);
    redis_node_send(node, command);
}
