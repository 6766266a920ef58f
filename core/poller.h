/* poller.h: what the master waits for: descriptors with a callback each, and the earliest time somebody wants to be
   woken. */
#ifndef PERIGEE_POLLER_H
#define PERIGEE_POLLER_H
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* events are poll's revents. The callback may mark things as finished, but frees none of them: another one's turn in
   the same round may follow. */
typedef void (*poller_cb)(void *data, short events);

/* Filled anew for each round: the master has few descriptors, and nothing then has to be unregistered. */
typedef struct poller {
    struct pollfd *fds;
    struct poller_entry {
        poller_cb cb;
        void *data;
    } * entries;
    size_t count, cap;
    uint64_t wake_ms; /* of poller_now's clock; UINT64_MAX for never */
} poller_t;

void poller_create(poller_t *poller);
void poller_destroy(poller_t *poller);
/* Milliseconds of a steady clock. */
uint64_t poller_now(void);
void poller_clear(poller_t *poller);
/* Ignored when fd is negative. False when out of memory. */
bool poller_add(poller_t *poller, int fd, short events, poller_cb cb, void *data);
/* Ends the round at at_ms at the latest. */
void poller_wake(poller_t *poller, uint64_t at_ms);
/* Waits once and calls back. */
void poller_wait(poller_t *poller);

#endif
