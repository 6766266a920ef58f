/* watch.h: one Sentinel's word that a master has been replaced. */
#ifndef PERIGEE_REDIS_WATCH_H
#define PERIGEE_REDIS_WATCH_H
#include "base/backoff.h"
#include "redis/link.h"

typedef struct redis_watch redis_watch_t;
struct redis_watch {
    /* The caller fills the first part and keeps it. */
    loop_t *loop;
    redis_endpoint_t at;
    redis_access_t access;
    uint64_t connect_ms;
    /* A master was replaced, or that may have been missed: when the subscription becomes live. */
    void (*switched)(void *data);
    void *data;

    /* The watch's. */
    link_t *link;     /* NULL during a pause */
    bool heard, late; /* late: silent for long, and a moment is left to it */
    deadline_t retry, ping;
    backoff_t backoff;
};

/* Subscribes, and again after each loss, for ever. `switched` is never called inside this. */
void redis_watch_start(redis_watch_t *watch);
void redis_watch_stop(redis_watch_t *watch);

#endif
