/* rate.h: a rate limit: so many requests in so much time, as a token bucket that is one number (GCRA). */
#ifndef PERIGEE_BASE_RATE_H
#define PERIGEE_BASE_RATE_H
#include "base/bytes.h"

/* The bucket's number is the time at which it will be full again. A request moves it on by one interval, and is refused
   when it would then be ahead of now by more than the capacity. */
typedef struct rate_limit {
    uint64_t count;    /* requests per period; 0: no limit */
    uint64_t period_s; /* 1 second to 366 days */
    uint64_t
        burst; /* requests at once out of a full bucket; as many as `count` unless said otherwise */
} rate_limit_t;

/* "600/60s", "600/1m", "100/1h burst 20", units s, m, h and d; "off" or nothing is no limit. ERR_INVALID with a
   sentence. */
int rate_read(span_t text, rate_limit_t *out, char *why, size_t size);
/* Rounded up: never more requests than were allowed. */
uint64_t rate_interval_us(const rate_limit_t *rate);
uint64_t rate_capacity_us(const rate_limit_t *rate);

/* The step every engine takes atomically: *full_us is the bucket's number (0 for a new one) and is changed when the
   request is let through, or when it is further ahead than this bucket can be, because the limit was another one
   before. Returns what cache_gate_t.ahead_us says. */
int64_t rate_take(uint64_t *full_us, uint64_t now_us, uint64_t interval_us, uint64_t capacity_us);

/* What a client is told. */
typedef struct rate_state {
    bool allowed;
    uint64_t remaining; /* requests that would be let through now */
    uint64_t
        reset_s; /* until the bucket is full; when refused, until the next request is let through */
} rate_state_t;
rate_state_t rate_tell(const rate_limit_t *rate, int64_t ahead_us);

/* The header line of the policy, and that of the state, as draft-ietf-httpapi-ratelimit-headers has them. */
void rate_put_policy(buf_t *out, const rate_limit_t *rate);
void rate_put_state(buf_t *out, const rate_limit_t *rate, const rate_state_t *state);

#endif
