/* share.c: a bucket of processor time per tenant. */
#include "tenant/share.h"
#include <time.h>

/* With sanitizers everything is about ten times slower, also what is meant to be free. */
#ifdef PERIGEE_SANITIZE
#define SLOWDOWN 10
#else
#define SLOWDOWN 1
#endif
#define FREE_NS (100000 * SLOWDOWN)
#define BURST_NS INT64_C(25000000)
#define WATCH_MS 1000

void share_create(share_t *share, unsigned percent) {
    *share = (share_t){.percent = percent, .credit_ns = BURST_NS};
}

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void refill(share_t *share, uint64_t now_ms) {
    uint64_t passed = now_ms - share->filled_ms;
    share->filled_ms = now_ms;
    if (passed > 1000000) passed = 1000000;
    share->credit_ns += (int64_t)(passed * share->percent * 10000);
    if (share->credit_ns > BURST_NS) share->credit_ns = BURST_NS;
}

uint64_t share_wait(share_t *share, uint64_t now_ms) {
    if (share->percent == 0 || share->credit_ns > 0) return 0;
    refill(share, now_ms);
    if (share->credit_ns > 0) return 0;
    return (uint64_t)-share->credit_ns / (share->percent * 10000) + 1;
}

void share_enter(share_t *share, uint64_t now_ms) {
    share->measuring = share->percent && now_ms < share->watched_until_ms;
    if (share->measuring) share->began_ns = cpu_ns();
}

void share_leave(share_t *share, uint64_t now_ms, uint64_t wall_ns) {
    if (!share->percent || wall_ns < FREE_NS) return;
    share->watched_until_ms = now_ms + WATCH_MS;
    if (!share->measuring) return;
    uint64_t used = cpu_ns() - share->began_ns;
    if (used < FREE_NS) return;
    refill(share, now_ms);
    share_charge(share, used / SLOWDOWN);
}

void share_charge(share_t *share, uint64_t cpu_ns) {
    share->credit_ns -= (int64_t)cpu_ns;
}
