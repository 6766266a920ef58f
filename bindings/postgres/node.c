/* node.c: the shared connections to one URL, and the queries that wait for one of them. */
#include "postgres/node.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/lanes.h"
#include "base/log.h"

struct postgres_node {
    postgres_node_options_t options;
    lanes_t lanes; /* with a postgres_link_t each */
    list_t waiting;
    deferred_t drain;
};

static const postgres_link_events_t EVENTS;

static loop_t *loop_of(const postgres_node_t *node) {
    return node->options.ground->loop;
}

static void on_ended(deferred_t *deferred) {
    postgres_query_t *query = LIST_OWNER(deferred, postgres_query_t, ended);
    query->settle(query);
}

/* Ends a query that was not sent, on a later turn. */
static void refuse(postgres_node_t *node, postgres_query_t *query, int err, const char *detail) {
    query->err = err;
    snprintf(query->detail, sizeof query->detail, "%s", detail);
    deferred_init(&query->ended, on_ended);
    loop_defer(loop_of(node), &query->ended);
}

static void refuse_waiting(postgres_node_t *node, const char *detail) {
    for (list_t *item; (item = list_shift(&node->waiting));)
        refuse(node, LIST_OWNER(item, postgres_query_t, node), ERR_UNAVAILABLE, detail);
}

static void tell(
    const postgres_node_t *node, const char *event, log_level_t level, const char *detail) {
    buf_t *line = log_begin(level, event);
    if (!line) return;
    buf_text(line, ",\"role\":");
    buf_json(line, span_of(node->options.role));
    if (detail) {
        buf_text(line, ",\"detail\":");
        buf_json(line, span_of(detail));
    } else {
        char host[POSTGRES_HOST_MAX + 16];
        postgres_host_text(&node->options.url->hosts[node->options.url->last], host, sizeof host);
        buf_text(line, ",\"server\":");
        buf_json(line, span_of(host));
    }
    log_end();
}

static void changed(const postgres_node_t *node) {
    if (node->options.changed) node->options.changed(node->options.data);
}

static postgres_node_t *node_of(const lane_t *lane) {
    return LIST_OWNER(lane->lanes, postgres_node_t, lanes);
}

static void *open_link(lane_t *lane) {
    const postgres_node_options_t *options = &node_of(lane)->options;
    postgres_link_options_t link = {.ground = options->ground,
        .url = options->url,
        .connect_ms = options->connect_ms,
        .guarded = options->replica,
        .events = &EVENTS,
        .data = lane};
    return postgres_link_open(&link);
}

static void close_link(void *link) {
    postgres_link_close(link);
}

/* Behind pgbouncer (prepare=off) a connection carries one query at a time: when an answer ends while the next query has
   come in part, pgbouncer gives the server's connection to somebody else, and the rest of the query goes astray. */
static bool one_at_a_time(const postgres_node_t *node) {
    return !node->options.url->prepare;
}

static postgres_link_t *choose(const postgres_node_t *node) {
    postgres_link_t *best = NULL;
    for (int i = 0; i < node->lanes.count; i++) {
        postgres_link_t *link = node->lanes.of[i].link;
        if (!link || !postgres_link_can_send(link)) continue;
        if (one_at_a_time(node) && postgres_link_load(link)) continue;
        if (!best || postgres_link_load(link) < postgres_link_load(best)) best = link;
    }
    return best;
}

static void drain_later(postgres_node_t *node) {
    if (!list_empty(&node->waiting)) loop_defer(loop_of(node), &node->drain);
}

/* A link that turns out to be broken leaves its query to another. */
static void on_drain(deferred_t *deferred) {
    postgres_node_t *node = LIST_OWNER(deferred, postgres_node_t, drain);
    postgres_link_t *link = choose(node);
    if (!link) return;
    if (node->waiting.next != node->waiting.prev) postgres_link_cork(link);
    for (list_t *item; (item = list_shift(&node->waiting));) {
        postgres_query_t *query = LIST_OWNER(item, postgres_query_t, node);
        int err = postgres_link_send(link, query);
        if (err == ERR_UNAVAILABLE) {
            list_push(&node->waiting, item);
            break;
        }
        if (err) refuse(node, query, err, err_text(err));
        if (!err && one_at_a_time(node)) break;
    }
    drain_later(node);
    postgres_link_flush(link);
}

static void on_up(void *data, postgres_link_t *link) {
    postgres_node_t *node = node_of(data);
    bool first = lane_up(data);
    (void)link;
    drain_later(node);
    if (!first) return;
    tell(node, "postgres_up", LOG_INFO, NULL);
    changed(node);
}

static void on_down(void *data, postgres_link_t *link, const char *detail) {
    postgres_node_t *node = node_of(data);
    lanes_news_t news = lane_down(data, detail);
    (void)link;
    if (node->lanes.failed) refuse_waiting(node, detail);
    if (news == LANES_SAME) return;
    tell(node, news == LANES_LOST ? "postgres_lost" : "postgres_down", LOG_WARN, detail);
    changed(node);
}

static void on_free(void *data, postgres_link_t *link) {
    (void)link;
    drain_later(node_of(data));
}

static const postgres_link_events_t EVENTS = {.up = on_up, .down = on_down, .free = on_free};

postgres_node_t *postgres_node_new(const postgres_node_options_t *options) {
    postgres_node_t *node = calloc(1, sizeof *node);
    if (!node) return NULL;
    node->options = *options;
    list_init(&node->waiting);
    deferred_init(&node->drain, on_drain);
    node->lanes = (lanes_t){
        .loop = loop_of(node), .count = options->links, .open = open_link, .close = close_link};
    lanes_open(&node->lanes);
    return node;
}

void postgres_node_delete(postgres_node_t *node) {
    deferred_clear(&node->drain);
    lanes_close(&node->lanes);
    refuse_waiting(node, "the server is ending");
    free(node);
}

void postgres_node_send(postgres_node_t *node, postgres_query_t *query) {
    if (node->lanes.failed) {
        refuse(node, query, ERR_UNAVAILABLE, node->lanes.fault);
        return;
    }
    list_push(&node->waiting, &query->node);
    if (node->lanes.up && list_empty(&node->drain.node)) drain_later(node);
}

bool postgres_node_up(const postgres_node_t *node) {
    return node->lanes.up > 0;
}

bool postgres_node_down(const postgres_node_t *node) {
    return node->lanes.failed;
}

const char *postgres_node_fault(const postgres_node_t *node) {
    return node->lanes.fault;
}
