/* backoff.c: how long to wait before the next attempt to connect. */
#include "base/backoff.h"
#include <sodium.h>

#define FIRST_MS 25
#define LASTED_MS                                                                                  \
    1000 /* a server that accepts and closes at once must not be dialled in a tight circle */

void backoff_up(backoff_t *backoff, uint64_t now_ms) {
    backoff->up_ms = now_ms ? now_ms : 1;
}

uint64_t backoff_next(backoff_t *backoff, uint64_t now_ms) {
    bool lasted = backoff->up_ms && now_ms - backoff->up_ms >= LASTED_MS;
    backoff->up_ms = 0;
    if (lasted) backoff->failures = 0;
    uint64_t pause = FIRST_MS;
    for (int i = 0; i < backoff->failures && pause < BACKOFF_MAX_MS; i++)
        pause *= 2;
    if (pause > BACKOFF_MAX_MS) pause = BACKOFF_MAX_MS;
    backoff->failures++;
    return pause - randombytes_uniform((uint32_t)(pause / 2) + 1);
}
