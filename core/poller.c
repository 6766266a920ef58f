/* poller.c: one round of poll(2). */
#include "poller.h"
#include <stdlib.h>
#include "base/clock.h"

#define ROUND_MAX_MS 60000

void poller_create(poller_t *poller) {
    *poller = (poller_t){.wake_ms = UINT64_MAX};
}

void poller_destroy(poller_t *poller) {
    free(poller->fds);
    free(poller->entries);
}

uint64_t poller_now(void) {
    return clock_mono_ns() / 1000000;
}

void poller_clear(poller_t *poller) {
    poller->count = 0;
    poller->wake_ms = UINT64_MAX;
}

static bool grow(poller_t *poller) {
    size_t cap = poller->cap ? poller->cap * 2 : 32;
    struct pollfd *fds = realloc(poller->fds, cap * sizeof(*fds));
    if (fds) poller->fds = fds;
    struct poller_entry *entries = realloc(poller->entries, cap * sizeof(*entries));
    if (entries) poller->entries = entries;
    if (!fds || !entries) return false;
    poller->cap = cap;
    return true;
}

bool poller_add(poller_t *poller, int fd, short events, poller_cb cb, void *data) {
    if (fd < 0) return true;
    if (poller->count == poller->cap && !grow(poller)) return false;
    poller->fds[poller->count] = (struct pollfd){.fd = fd, .events = events};
    poller->entries[poller->count++] = (struct poller_entry){cb, data};
    return true;
}

void poller_wake(poller_t *poller, uint64_t at_ms) {
    if (at_ms < poller->wake_ms) poller->wake_ms = at_ms;
}

static int timeout_of(const poller_t *poller) {
    uint64_t now = poller_now();
    if (poller->wake_ms <= now) return 0;
    uint64_t left = poller->wake_ms - now;
    return left > ROUND_MAX_MS ? ROUND_MAX_MS : (int)left;
}

void poller_wait(poller_t *poller) {
    int ready = poll(poller->fds, poller->count, timeout_of(poller));
    for (size_t i = 0; i < poller->count && ready > 0; i++) {
        short events = poller->fds[i].revents;
        if (!events) continue;
        ready--;
        poller->entries[i].cb(poller->entries[i].data, events);
    }
}
