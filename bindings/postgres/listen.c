/* listen.c: all channels of a client on one direct connection, which comes back by itself and says so. */
#include <stdio.h>
#include <stdlib.h>
#include "base/backoff.h"
#include "base/err.h"
#include "postgres/listen.h"

#define PING_MS 2000   /* silence since the last one means that the connection is dead */
#define AT_ONCE 16     /* channels asked for in one query */
#define CHANNEL_MAX 63 /* the server cuts off longer names */

struct postgres_subscriber {
    postgres_t *postgres;
    postgres_link_t *link; /* NULL: none is wanted, or the pause before the next */
    bool up;
    list_t subscriptions, due; /* due: not visited yet, while `for_each` visits all */
    deadline_t retry, ping;
    backoff_t backoff;
    struct wish *wish; /* on its way */
    char unwanted[CHANNEL_MAX + 1];
};

/* Channels asked for; outlives the subscriber. */
typedef struct wish {
    postgres_query_t query;
    postgres_subscriber_t *subscriber; /* NULL: gone */
    postgres_statement_t statements[AT_ONCE + 2];
    char sql[AT_ONCE + 1][2 * CHANNEL_MAX + 16];
    char channels[AT_ONCE][CHANNEL_MAX + 1];
    int count; /* of channels */
} wish_t;

static const postgres_link_events_t EVENTS;

static loop_t *loop_of(const postgres_subscriber_t *subscriber) {
    return subscriber->postgres->ground.loop;
}

typedef struct notice {
    span_t channel, payload;
} notice_t;

typedef void (*each_cb)(postgres_subscription_t *subscription, const notice_t *notice);

/* Callbacks may unsubscribe any of them, themselves included: what has not been visited waits in a list of its own. */
static void for_each(postgres_subscriber_t *subscriber, each_cb cb, const notice_t *notice) {
    list_splice(&subscriber->due, &subscriber->subscriptions);
    for (list_t *node; (node = list_shift(&subscriber->due));) {
        list_push(&subscriber->subscriptions, node);
        cb(LIST_OWNER(node, postgres_subscription_t, node), notice);
    }
}

static void deliver(postgres_subscription_t *subscription, const notice_t *notice) {
    if (subscription->live && span_eq(subscription->channel, notice->channel))
        subscription->notified(subscription, notice->payload);
}

static void enliven(postgres_subscription_t *subscription, const notice_t *notice) {
    if (subscription->live || !span_eq(subscription->channel, notice->channel)) return;
    subscription->live = true;
    subscription->missed(subscription);
}

static void lose(postgres_subscription_t *subscription, const notice_t *notice) {
    (void)notice;
    if (!subscription->live) return;
    subscription->live = false;
    subscription->missed(subscription);
}

static bool is_wanted(const postgres_subscriber_t *subscriber, span_t channel) {
    const list_t *all = &subscriber->subscriptions;
    for (const list_t *node = all->next; node != all; node = node->next)
        if (span_eq(LIST_OWNER(node, postgres_subscription_t, node)->channel, channel)) return true;
    return false;
}

/* LISTEN takes no parameters: the name is quoted. */
static void put(wish_t *wish, int at, const char *verb, span_t channel) {
    char *sql = wish->sql[at];
    size_t len = (size_t)snprintf(sql, sizeof wish->sql[at], "%s \"", verb);
    for (size_t i = 0; i < channel.len; i++) {
        if (channel.ptr[i] == '"') sql[len++] = '"';
        sql[len++] = channel.ptr[i];
    }
    sql[len++] = '"';
    sql[len] = '\0';
    wish->statements[wish->query.count++].sql = sql;
}

static bool asks_for(const wish_t *wish, span_t channel) {
    for (int i = 0; i < wish->count; i++)
        if (span_eq(span_of(wish->channels[i]), channel)) return true;
    return false;
}

static void gather(postgres_subscriber_t *subscriber, wish_t *wish) {
    const list_t *all = &subscriber->subscriptions;
    span_t unwanted = span_of(subscriber->unwanted);
    if (unwanted.len && !is_wanted(subscriber, unwanted)) put(wish, AT_ONCE, "unlisten", unwanted);
    subscriber->unwanted[0] = '\0';
    for (const list_t *node = all->next; node != all && wish->count < AT_ONCE; node = node->next) {
        postgres_subscription_t *subscription = LIST_OWNER(node, postgres_subscription_t, node);
        if (subscription->live || asks_for(wish, subscription->channel)) continue;
        put(wish, wish->count, "listen", subscription->channel);
        snprintf(wish->channels[wish->count++], CHANNEL_MAX + 1, "%.*s",
            (int)subscription->channel.len, subscription->channel.ptr);
    }
}

static void lost(postgres_subscriber_t *subscriber);
static void ask(postgres_subscriber_t *subscriber, bool ping);

static void give_up(postgres_subscriber_t *subscriber) {
    postgres_link_close(subscriber->link);
    lost(subscriber);
}

static void on_asked(postgres_query_t *query) {
    wish_t *wish = LIST_OWNER(query, wish_t, query);
    postgres_subscriber_t *subscriber = wish->subscriber;
    if (subscriber) subscriber->wish = NULL;
    if (subscriber && subscriber->up && query->err) {
        give_up(subscriber);
    } else if (subscriber && subscriber->up) {
        for (int i = 0; i < wish->count; i++) {
            notice_t notice = {.channel = span_of(wish->channels[i])};
            for_each(subscriber, enliven, &notice);
        }
        ask(subscriber, false);
    }
    free(wish);
}

/* One at a time; asks for whatever is not live, and if nothing is missing only whether somebody is there. */
static void ask(postgres_subscriber_t *subscriber, bool ping) {
    if (!subscriber->up || subscriber->wish) return;
    wish_t *wish = calloc(1, sizeof *wish);
    if (!wish) return; /* the next ping asks again */
    wish->subscriber = subscriber;
    wish->query.statements = wish->statements;
    wish->query.done = on_asked;
    gather(subscriber, wish);
    if (!wish->query.count && ping) wish->statements[wish->query.count++].sql = "select 1";
    if (!wish->query.count) {
        free(wish);
        return;
    }
    subscriber->wish = wish;
    wish->query.deadline_ms = loop_now(loop_of(subscriber)) + PING_MS;
    postgres_begin(subscriber->postgres, &wish->query, postgres_finish);
    int err = postgres_link_send(subscriber->link, &wish->query);
    if (err) postgres_finish_later(&wish->query, err, err_text(err));
    postgres_link_flush_later(subscriber->link);
}

static void on_up(void *data, postgres_link_t *link) {
    postgres_subscriber_t *subscriber = data;
    (void)link;
    subscriber->up = true;
    backoff_up(&subscriber->backoff, loop_now(loop_of(subscriber)));
    ask(subscriber, true);
    deadline_set(loop_of(subscriber), &subscriber->ping, loop_now(loop_of(subscriber)) + PING_MS);
}

/* Notifications are lost from now on, until it is live again. */
static void lost(postgres_subscriber_t *subscriber) {
    uint64_t now = loop_now(loop_of(subscriber));
    subscriber->link = NULL;
    subscriber->up = false;
    if (subscriber->wish) subscriber->wish->subscriber = NULL;
    subscriber->wish = NULL;
    deadline_clear(&subscriber->ping);
    deadline_set(
        loop_of(subscriber), &subscriber->retry, now + backoff_next(&subscriber->backoff, now));
    for_each(subscriber, lose, NULL);
}

static void on_down(void *data, postgres_link_t *link, const char *detail) {
    (void)link;
    (void)detail;
    lost(data);
}

static void on_notified(void *data, postgres_link_t *link, const PGnotify *pg) {
    postgres_subscriber_t *subscriber = data;
    notice_t notice = {span_of(pg->relname), span_of(pg->extra)};
    (void)link;
    if (is_wanted(subscriber, notice.channel))
        for_each(subscriber, deliver, &notice);
    else
        snprintf(subscriber->unwanted, sizeof subscriber->unwanted, "%s", pg->relname);
}

static const postgres_link_events_t EVENTS = {
    .up = on_up, .down = on_down, .notified = on_notified};

static void on_ping(deadline_t *deadline) {
    postgres_subscriber_t *subscriber = LIST_OWNER(deadline, postgres_subscriber_t, ping);
    deadline_set(loop_of(subscriber), deadline, loop_now(loop_of(subscriber)) + PING_MS);
    ask(subscriber, true);
}

static void connect_it(postgres_subscriber_t *subscriber) {
    postgres_t *postgres = subscriber->postgres;
    uint64_t now = loop_now(loop_of(subscriber));
    postgres_link_options_t options = {.ground = &postgres->ground,
        .url = postgres->has_listen_url ? &postgres->listen_url : &postgres->url,
        .connect_ms = postgres->options.connect_ms,
        .events = &EVENTS,
        .data = subscriber};
    subscriber->link = postgres_link_open(&options);
    if (!subscriber->link)
        deadline_set(
            loop_of(subscriber), &subscriber->retry, now + backoff_next(&subscriber->backoff, now));
}

static void on_retry(deadline_t *deadline) {
    postgres_subscriber_t *subscriber = LIST_OWNER(deadline, postgres_subscriber_t, retry);
    if (!list_empty(&subscriber->subscriptions)) connect_it(subscriber);
}

static postgres_subscriber_t *subscriber_new(postgres_t *postgres) {
    postgres_subscriber_t *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber) return NULL;
    subscriber->postgres = postgres;
    list_init(&subscriber->subscriptions);
    list_init(&subscriber->due);
    deadline_init(&subscriber->retry, on_retry);
    deadline_init(&subscriber->ping, on_ping);
    return subscriber;
}

/* A name that the server refuses would take all the others with it, as they are asked for together. */
int postgres_subscribe(postgres_t *postgres, postgres_subscription_t *subscription) {
    span_t channel = subscription->channel;
    bool valid = channel.len && channel.len <= CHANNEL_MAX &&
                 !memchr(channel.ptr, 0, channel.len) && span_is_utf8(channel);
    if (postgres->closing) return ERR_CLOSED;
    if (!valid) return ERR_INVALID;
    if (!postgres->subscriber) postgres->subscriber = subscriber_new(postgres);
    postgres_subscriber_t *subscriber = postgres->subscriber;
    if (!subscriber) return ERR_NO_MEMORY;
    subscription->postgres = postgres;
    subscription->live = false;
    list_init(&subscription->node);
    list_push(&subscriber->subscriptions, &subscription->node);
    if (subscriber->up)
        ask(subscriber, false);
    else if (!subscriber->link && !deadline_armed(&subscriber->retry))
        connect_it(subscriber);
    return 0;
}

/* The channel is left when its next notification finds nobody. */
void postgres_unsubscribe(postgres_subscription_t *subscription) {
    if (!subscription->postgres) return;
    list_remove(&subscription->node);
    subscription->postgres = NULL;
    subscription->live = false;
}

static void part(list_t *list) {
    for (list_t *node; (node = list_shift(list));) {
        postgres_subscription_t *subscription = LIST_OWNER(node, postgres_subscription_t, node);
        subscription->postgres = NULL;
        subscription->live = false;
    }
}

void postgres_subscriber_close(postgres_subscriber_t *subscriber) {
    deadline_clear(&subscriber->retry);
    deadline_clear(&subscriber->ping);
    if (subscriber->wish) subscriber->wish->subscriber = NULL;
    if (subscriber->link) postgres_link_close(subscriber->link);
    part(&subscriber->subscriptions);
    part(&subscriber->due);
    subscriber->postgres->subscriber = NULL;
    free(subscriber);
}
