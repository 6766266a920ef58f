/* subscribe.c: all subscriptions of a client on one RESP2 connection, which comes back by itself and says so. */
#include <stdlib.h>
#include "base/err.h"
#include "base/log.h"
#include "base/backoff.h"
#include "redis/router.h"
#include "redis/subscribe.h"

#define PING_MS 2000 /* silence since the last one means that the connection is dead */
/* Then once more, for what lies here unread: perhaps it was this process that stood still. */
#define GRACE_MS 100
#define AGAIN_MS 1000 /* after a refusal, which an operator may take back */

struct redis_subscriber {
    redis_t *redis;
    redis_access_t access;
    link_t *link;              /* NULL: none is wanted, or the pause before the next */
    bool up, heard, late;      /* late: silent for PING_MS, and a moment is left to it */
    list_t subscriptions, due; /* due: not visited yet, while `for_each` visits all */
    size_t unconfirmed;        /* subscriptions sent on this connection and not answered */
    bool complained;           /* the last answer was a refusal, and that has been said */
    deadline_t retry, ping;
    deadline_t again; /* for those that were refused */
    backoff_t backoff;
};

static const link_events_t EVENTS;

static loop_t *loop_of(const redis_subscriber_t *subscriber) {
    return subscriber->redis->loop;
}

static void say(redis_subscriber_t *subscriber, const char *verb, span_t channel) {
    span_t argv[] = {span_of(verb), channel};
    link_say(subscriber->link, argv, channel.ptr ? 2 : 1);
}

static bool is_for(const redis_subscription_t *subscription, span_t channel, bool pattern) {
    return subscription->pattern == pattern && span_eq(subscription->channel, channel);
}

typedef void (*each_cb)(redis_subscription_t *subscription, const void *data);

/* Callbacks may unsubscribe any of them, themselves included: what has not been visited waits in a list of its own. */
static void for_each(redis_subscriber_t *subscriber, each_cb cb, const void *data) {
    list_splice(&subscriber->due, &subscriber->subscriptions);
    for (list_t *node; (node = list_shift(&subscriber->due));) {
        list_push(&subscriber->subscriptions, node);
        cb(LIST_OWNER(node, redis_subscription_t, node), data);
    }
}

typedef struct message {
    span_t channel, name, payload; /* name: what was subscribed to */
    bool pattern;
} message_t;

static void deliver(redis_subscription_t *subscription, const void *data) {
    const message_t *message = data;
    if (subscription->live && is_for(subscription, message->name, message->pattern))
        subscription->message(subscription, message->channel, message->payload);
}

static void enliven(redis_subscription_t *subscription, const void *data) {
    const message_t *message = data;
    if (subscription->live || !is_for(subscription, message->name, message->pattern)) return;
    subscription->live = true;
    subscription->missed(subscription);
}

static void lose(redis_subscription_t *subscription, const void *data) {
    (void)data;
    if (!subscription->live) return;
    subscription->live = false;
    subscription->missed(subscription);
}

/* Element i as text, or an empty span. */
static span_t text_at(const redisReply *reply, size_t i) {
    if (i >= reply->elements || reply->element[i]->type != REDIS_REPLY_STRING)
        return (span_t){"", 0};
    return (span_t){reply->element[i]->str, reply->element[i]->len};
}

static bool wants(const list_t *all, span_t channel, bool pattern) {
    for (const list_t *node = all->next; node != all; node = node->next)
        if (is_for(LIST_OWNER(node, redis_subscription_t, node), channel, pattern)) return true;
    return false;
}

static bool is_wanted(const redis_subscriber_t *subscriber, span_t channel, bool pattern) {
    return wants(&subscriber->subscriptions, channel, pattern) ||
           wants(&subscriber->due, channel, pattern);
}

static void stop(redis_subscriber_t *subscriber, span_t channel, bool pattern) {
    say(subscriber, pattern ? "PUNSUBSCRIBE" : "UNSUBSCRIBE", channel);
}

static void on_published(redis_subscriber_t *subscriber, const message_t *message) {
    if (is_wanted(subscriber, message->name, message->pattern))
        for_each(subscriber, deliver, message);
    else
        stop(subscriber, message->name, message->pattern);
}

static void on_confirmed(redis_subscriber_t *subscriber, const message_t *message) {
    if (subscriber->unconfirmed) subscriber->unconfirmed--;
    subscriber->complained = false;
    for_each(subscriber, enliven, message);
}

/* Said once in a row: they are asked for again and again. */
static void on_refused(redis_subscriber_t *subscriber, const redisReply *reply) {
    int word = (int)strspn(reply->str, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    loop_t *loop = loop_of(subscriber);
    if (subscriber->unconfirmed) subscriber->unconfirmed--;
    if (!deadline_armed(&subscriber->again))
        deadline_set(loop, &subscriber->again, loop_now(loop) + AGAIN_MS);
    if (subscriber->complained) return;
    subscriber->complained = true;
    log_event(LOG_WARN, "redis_subscription_refused", "\"code\":\"%.*s\"", word, reply->str);
}

static void on_message(void *data, link_t *link, const redisReply *reply) {
    redis_subscriber_t *subscriber = data;
    (void)link;
    subscriber->heard = true;
    if (reply->type == REDIS_REPLY_ERROR) on_refused(subscriber, reply);
    if (reply->type != REDIS_REPLY_ARRAY) return;
    span_t kind = text_at(reply, 0);
    bool pattern = kind.len && kind.ptr[0] == 'p'; /* pmessage, psubscribe */
    span_t plain = {kind.ptr + pattern, kind.len - pattern};
    message_t message = {.name = text_at(reply, 1),
        .channel = text_at(reply, pattern ? 2 : 1),
        .payload = text_at(reply, pattern ? 3 : 2),
        .pattern = pattern};
    if (span_eq(plain, SPAN("message")))
        on_published(subscriber, &message);
    else if (span_eq(plain, SPAN("subscribe")))
        on_confirmed(subscriber, &message);
}

static void ask_for(redis_subscriber_t *subscriber, const redis_subscription_t *subscription) {
    subscriber->unconfirmed++;
    say(subscriber, subscription->pattern ? "PSUBSCRIBE" : "SUBSCRIBE", subscription->channel);
}

/* An error does not say which subscription it is for. One that has an answer still to come may not be asked for twice,
   so all of those come first. */
static void on_again(deadline_t *deadline) {
    redis_subscriber_t *subscriber = LIST_OWNER(deadline, redis_subscriber_t, again);
    list_t *all = &subscriber->subscriptions;
    if (subscriber->unconfirmed) {
        deadline_set(loop_of(subscriber), deadline, loop_now(loop_of(subscriber)) + AGAIN_MS);
        return;
    }
    for (list_t *node = all->next; node != all; node = node->next) {
        const redis_subscription_t *subscription = LIST_OWNER(node, redis_subscription_t, node);
        if (!subscription->live) ask_for(subscriber, subscription);
    }
}

static void on_up(void *data, link_t *link) {
    redis_subscriber_t *subscriber = data;
    (void)link;
    subscriber->up = subscriber->heard = true;
    subscriber->unconfirmed = 0;
    subscriber->late = false;
    backoff_up(&subscriber->backoff, loop_now(loop_of(subscriber)));
    list_t *all = &subscriber->subscriptions;
    for (list_t *node = all->next; node != all; node = node->next)
        ask_for(subscriber, LIST_OWNER(node, redis_subscription_t, node));
    deadline_set(loop_of(subscriber), &subscriber->ping, loop_now(loop_of(subscriber)) + PING_MS);
}

/* Messages are lost from now on, until it is live again. */
static void lost(redis_subscriber_t *subscriber) {
    uint64_t now = loop_now(loop_of(subscriber));
    subscriber->link = NULL;
    subscriber->up = false;
    deadline_clear(&subscriber->ping);
    deadline_clear(&subscriber->again);
    deadline_set(
        loop_of(subscriber), &subscriber->retry, now + backoff_next(&subscriber->backoff, now));
    for_each(subscriber, lose, NULL);
}

static void on_down(void *data, link_t *link, const char *detail) {
    (void)link;
    (void)detail;
    lost(data);
}

static const link_events_t EVENTS = {.up = on_up, .down = on_down, .message = on_message};

static void on_ping(deadline_t *deadline) {
    redis_subscriber_t *subscriber = LIST_OWNER(deadline, redis_subscriber_t, ping);
    if (!subscriber->heard && !subscriber->late) {
        subscriber->late = true;
        deadline_set(loop_of(subscriber), deadline, loop_now(loop_of(subscriber)) + GRACE_MS);
        return;
    }
    if (!subscriber->heard) {
        link_close(subscriber->link);
        lost(subscriber);
        return;
    }
    subscriber->heard = subscriber->late = false;
    say(subscriber, "PING", (span_t){NULL, 0});
    deadline_set(loop_of(subscriber), deadline, loop_now(loop_of(subscriber)) + PING_MS);
}

void redis_subscriber_left(redis_t *redis, const redis_endpoint_t *at) {
    redis_subscriber_t *subscriber = redis->subscriber;
    bool there = subscriber && subscriber->link && redis_endpoint_eq(link_at(subscriber->link), at);
    if (!there) return;
    link_close(subscriber->link);
    lost(subscriber);
}

/* Any node of a Cluster passes on what is published on any other. */
static void connect_it(redis_subscriber_t *subscriber) {
    redis_router_t *router = subscriber->redis->router;
    redis_node_t *node = router->pick(router, (span_t){"", 0}, false);
    uint64_t now = loop_now(loop_of(subscriber));
    if (node) {
        subscriber->access = *redis_node_access(node);
        subscriber->access.resp2 = true;
        link_options_t options = {.loop = loop_of(subscriber),
            .at = *redis_node_at(node),
            .access = &subscriber->access,
            .connect_ms = subscriber->redis->options.connect_ms,
            .events = &EVENTS,
            .data = subscriber};
        subscriber->link = link_open(&options);
    }
    if (!subscriber->link)
        deadline_set(
            loop_of(subscriber), &subscriber->retry, now + backoff_next(&subscriber->backoff, now));
}

static void on_retry(deadline_t *deadline) {
    redis_subscriber_t *subscriber = LIST_OWNER(deadline, redis_subscriber_t, retry);
    if (!list_empty(&subscriber->subscriptions)) connect_it(subscriber);
}

static redis_subscriber_t *subscriber_new(redis_t *redis) {
    redis_subscriber_t *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber) return NULL;
    subscriber->redis = redis;
    list_init(&subscriber->subscriptions);
    list_init(&subscriber->due);
    deadline_init(&subscriber->retry, on_retry);
    deadline_init(&subscriber->ping, on_ping);
    deadline_init(&subscriber->again, on_again);
    return subscriber;
}

int redis_subscribe(redis_t *redis, redis_subscription_t *subscription) {
    if (redis->closing) return ERR_CLOSED;
    if (!redis->subscriber) redis->subscriber = subscriber_new(redis);
    redis_subscriber_t *subscriber = redis->subscriber;
    if (!subscriber) return ERR_NO_MEMORY;
    subscription->redis = redis;
    subscription->live = false;
    list_init(&subscription->node);
    list_push(&subscriber->subscriptions, &subscription->node);
    if (subscriber->up)
        ask_for(subscriber, subscription);
    else if (!subscriber->link && !deadline_armed(&subscriber->retry))
        connect_it(subscriber);
    return 0;
}

/* While a confirmation is outstanding, an UNSUBSCRIBE now and a SUBSCRIBE of the same channel next would let the old
   confirmation pass for the new one, and what is published in between would be missed unsaid. The channel is then left
   when its next message comes. */
void redis_unsubscribe(redis_subscription_t *subscription) {
    if (!subscription->redis) return;
    redis_subscriber_t *subscriber = subscription->redis->subscriber;
    list_remove(&subscription->node);
    subscription->redis = NULL;
    subscription->live = false;
    if (subscriber->up && subscriber->unconfirmed == 0 &&
        !is_wanted(subscriber, subscription->channel, subscription->pattern))
        stop(subscriber, subscription->channel, subscription->pattern);
}

void redis_subscriber_close(redis_subscriber_t *subscriber) {
    deadline_clear(&subscriber->retry);
    deadline_clear(&subscriber->ping);
    deadline_clear(&subscriber->again);
    if (subscriber->link) link_close(subscriber->link);
    for (list_t *node; (node = list_shift(&subscriber->subscriptions));) {
        redis_subscription_t *subscription = LIST_OWNER(node, redis_subscription_t, node);
        subscription->redis = NULL;
        subscription->live = false;
    }
    subscriber->redis->subscriber = NULL;
    free(subscriber);
}
