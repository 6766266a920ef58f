/* backoff.c: how long to wait before the next attempt to connect. */
#include "redis/backoff.h"
#include <sodium.h>

#define FIRST_MS 25
#define LASTED_MS                                                                                  \
    1000 /* a server that accepts and closes at once must not be dialled in a tight circle */

void redis_backoff_up(redis_backoff_t *backoff, uint64_t now_ms) {
    backoff->up_ms = now_ms ? now_ms : 1;
}

uint64_t redis_backoff_next(redis_backoff_t *backoff, uint64_t now_ms) {
    bool lasted = backoff->up_ms && now_ms - backoff->up_ms >= LASTED_MS;
    backoff->up_ms = 0;
    if (lasted) backoff->failures = 0;
    uint64_t pause = FIRST_MS;
    for (int i = 0; i < backoff->failures && pause < REDIS_BACKOFF_MAX_MS; i++)
        pause *= 2;
    if (pause > REDIS_BACKOFF_MAX_MS) pause = REDIS_BACKOFF_MAX_MS;
    backoff->failures++;
    return pause - randombytes_uniform((uint32_t)(pause / 2) + 1);
}
