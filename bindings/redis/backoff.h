/* backoff.h: how long to wait before the next attempt to connect. */
#ifndef PERIGEE_REDIS_BACKOFF_H
#define PERIGEE_REDIS_BACKOFF_H
#include <stdbool.h>
#include <stdint.h>

#define REDIS_BACKOFF_MAX_MS 1000

typedef struct redis_backoff {
    int failures;   /* in a row */
    uint64_t up_ms; /* loop time of the last success; 0: none since the last failure */
} redis_backoff_t;

void redis_backoff_up(redis_backoff_t *backoff, uint64_t now_ms);
/* The connection was lost or could not be made: milliseconds until the next attempt, doubling from 25 to 1000, of which
   a random half is taken off so that a thousand clients do not come back in step. Short after a connection that lasted
   a second. */
uint64_t redis_backoff_next(redis_backoff_t *backoff, uint64_t now_ms);

#endif
