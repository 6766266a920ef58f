/* backoff.h: how long to wait before the next attempt to connect. */
#ifndef PERIGEE_BACKOFF_H
#define PERIGEE_BACKOFF_H
#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_MAX_MS 1000

typedef struct backoff {
    int failures;   /* in a row */
    uint64_t up_ms; /* loop time of the last success; 0: none since the last failure */
} backoff_t;

void backoff_up(backoff_t *backoff, uint64_t now_ms);
/* The connection was lost or could not be made: milliseconds until the next attempt, doubling from 25 to 1000, of which
   a random half is taken off so that a thousand clients do not come back in step. Short after a connection that lasted
   a second. */
uint64_t backoff_next(backoff_t *backoff, uint64_t now_ms);

#endif
