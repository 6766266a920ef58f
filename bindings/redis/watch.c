/* watch.c: one Sentinel's word that a master has been replaced, on a RESP2 connection that comes back by itself. */
#include "redis/watch.h"

#define PING_MS 2000 /* silence since the last one means that the connection is dead */
/* Then once more, for what lies here unread: perhaps it was this process that stood still. */
#define GRACE_MS 100

static const link_events_t EVENTS;

static void say(redis_watch_t *watch, span_t verb, span_t channel) {
    span_t argv[] = {verb, channel};
    link_say(watch->link, argv, channel.len ? 2 : 1);
}

static void pause_it(redis_watch_t *watch) {
    uint64_t now = loop_now(watch->loop);
    watch->link = NULL;
    deadline_clear(&watch->ping);
    deadline_set(watch->loop, &watch->retry, now + backoff_next(&watch->backoff, now));
}

static void open_it(redis_watch_t *watch) {
    link_options_t options = {.loop = watch->loop,
        .at = watch->at,
        .access = &watch->access,
        .connect_ms = watch->connect_ms,
        .events = &EVENTS,
        .data = watch};
    watch->link = link_open(&options);
    if (!watch->link) pause_it(watch);
}

static void on_up(void *data, link_t *link) {
    redis_watch_t *watch = data;
    (void)link;
    backoff_up(&watch->backoff, loop_now(watch->loop));
    watch->heard = true;
    watch->late = false;
    say(watch, SPAN("SUBSCRIBE"), SPAN("+switch-master"));
    deadline_set(watch->loop, &watch->ping, loop_now(watch->loop) + PING_MS);
}

static void on_down(void *data, link_t *link, const char *detail) {
    (void)link;
    (void)detail;
    pause_it(data);
}

/* The confirmation and every message alike: what has changed is asked of all Sentinels. PONG says nothing. */
static void on_message(void *data, link_t *link, const redisReply *reply) {
    redis_watch_t *watch = data;
    (void)link;
    watch->heard = true;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1) return;
    const redisReply *kind = reply->element[0];
    if (kind->type != REDIS_REPLY_STRING) return;
    if (strcmp(kind->str, "message") == 0 || strcmp(kind->str, "subscribe") == 0)
        watch->switched(watch->data);
}

static const link_events_t EVENTS = {.up = on_up, .down = on_down, .message = on_message};

static void on_ping(deadline_t *deadline) {
    redis_watch_t *watch = LIST_OWNER(deadline, redis_watch_t, ping);
    if (!watch->heard && !watch->late) {
        watch->late = true;
        deadline_set(watch->loop, deadline, loop_now(watch->loop) + GRACE_MS);
        return;
    }
    if (!watch->heard) {
        link_close(watch->link);
        pause_it(watch);
        return;
    }
    watch->heard = watch->late = false;
    say(watch, SPAN("PING"), (span_t){NULL, 0});
    deadline_set(watch->loop, deadline, loop_now(watch->loop) + PING_MS);
}

static void on_retry(deadline_t *deadline) {
    open_it(LIST_OWNER(deadline, redis_watch_t, retry));
}

void redis_watch_start(redis_watch_t *watch) {
    watch->access.resp2 = true;
    deadline_init(&watch->retry, on_retry);
    deadline_init(&watch->ping, on_ping);
    open_it(watch);
}

void redis_watch_stop(redis_watch_t *watch) {
    deadline_clear(&watch->retry);
    deadline_clear(&watch->ping);
    if (watch->link) link_close(watch->link);
    watch->link = NULL;
}
