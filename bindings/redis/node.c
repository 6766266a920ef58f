/* node.c: one server's address, the shared links to it, and the commands that wait for one of them. */
#include "redis/node.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/lanes.h"
#include "base/log.h"
#include "redis/command.h"

struct redis_node {
    redis_node_options_t options;
    redis_access_t access;
    lanes_t lanes;   /* with a link_t each */
    link_t *current; /* the link that this turn writes to, while it is writing */
    list_t waiting;
};

static const link_events_t EVENTS;

static loop_t *loop_of(const redis_node_t *node) {
    return redis_loop(node->options.redis);
}

static void on_ended(deferred_t *deferred) {
    redis_command_t *command = LIST_OWNER(deferred, redis_command_t, ended);
    command->settle(command);
}

/* Ends a command that was not sent, on a later turn. */
static void refuse(redis_node_t *node, redis_command_t *command, int err, const char *detail) {
    command->at = NULL;
    command->reply = NULL;
    command->err = err;
    snprintf(command->detail, sizeof command->detail, "%.*s", REDIS_DETAIL_MAX - 1, detail);
    deferred_init(&command->ended, on_ended);
    loop_defer(loop_of(node), &command->ended);
}

static void refuse_waiting(redis_node_t *node, const char *detail) {
    for (list_t *item; (item = list_shift(&node->waiting));)
        refuse(node, LIST_OWNER(item, redis_command_t, node), ERR_UNAVAILABLE, detail);
}

static void tell(redis_node_t *node, const char *event, log_level_t level, const char *detail) {
    char server[REDIS_HOST_MAX + 16];
    buf_t *line = log_begin(level, event);
    if (!line) return;
    redis_endpoint_text(&node->options.at, server, sizeof server);
    buf_text(line, ",\"server\":");
    buf_json(line, span_of(server));
    if (detail) {
        buf_text(line, ",\"detail\":");
        buf_json(line, span_of(detail));
    }
    log_end();
}

static redis_node_t *node_of(const lane_t *lane) {
    return LIST_OWNER(lane->lanes, redis_node_t, lanes);
}

/* May delete the node. */
static void report(redis_node_t *node, bool up) {
    if (node->options.changed) node->options.changed(node->options.data, node, up);
}

static void *open_link(lane_t *lane) {
    redis_node_t *node = node_of(lane);
    link_options_t options = {.loop = loop_of(node),
        .at = node->options.at,
        .access = &node->access,
        .connect_ms = redis_connect_ms(node->options.redis),
        .span_ms = redis_command_ms(node->options.redis),
        .events = &EVENTS,
        .data = lane};
    return link_open(&options);
}

static void close_link(void *link) {
    link_close(link);
}

static void send_on(redis_node_t *node, link_t *link, redis_command_t *command) {
    command->at = node;
    node->current = link;
    int err = link_send(link, command);
    if (err) refuse(node, command, err, err_text(err));
}

static void on_up(void *data, link_t *link) {
    redis_node_t *node = node_of(data);
    bool first = lane_up(data);
    for (list_t *item; (item = list_shift(&node->waiting));)
        send_on(node, link, LIST_OWNER(item, redis_command_t, node));
    if (!first) return;
    tell(node, "redis_up", LOG_INFO, NULL);
    report(node, true);
}

static void on_down(void *data, link_t *link, const char *detail) {
    redis_node_t *node = node_of(data);
    lanes_news_t news = lane_down(data, detail);
    if (node->current == link) node->current = NULL;
    if (node->lanes.failed) refuse_waiting(node, detail);
    if (news == LANES_SAME) return;
    tell(node, news == LANES_LOST ? "redis_lost" : "redis_down", LOG_WARN, detail);
    report(node, false);
}

static const link_events_t EVENTS = {.up = on_up, .down = on_down};

redis_node_t *redis_node_new(const redis_node_options_t *options) {
    redis_node_t *node = calloc(1, sizeof *node);
    if (!node) return NULL;
    node->options = *options;
    node->access = *options->access;
    list_init(&node->waiting);
    node->lanes = (lanes_t){
        .loop = loop_of(node), .count = options->links, .open = open_link, .close = close_link};
    lanes_open(&node->lanes);
    return node;
}

redis_node_t *redis_node_nowhere(redis_t *redis) {
    static const redis_access_t NONE;
    redis_node_options_t options = {.redis = redis, .access = &NONE};
    redis_node_t *node = redis_node_new(&options);
    if (!node) return NULL;
    node->lanes.failed = true;
    snprintf(node->lanes.fault, sizeof node->lanes.fault, "no server can be reached");
    return node;
}

void redis_node_delete(redis_node_t *node) {
    lanes_close(&node->lanes);
    refuse_waiting(node, "the server is not used any more");
    free(node);
}

void redis_node_retire(redis_node_t *node) {
    lanes_retire(&node->lanes);
    refuse_waiting(node, "the server is not used any more");
}

/* Whether a link has waited for a command's whole time and none has heard anything meanwhile. The server is asked
   nothing then until it answers or the link is given up: a request that asks twice would wait twice. */
static bool is_silent(const redis_node_t *node) {
    uint64_t heard = 0, since = 0;
    for (int i = 0; i < node->lanes.count; i++) {
        const lane_t *lane = &node->lanes.of[i];
        if (!lane->up) continue;
        uint64_t lane_heard = link_heard_ms(lane->link), lane_since = link_silent_since(lane->link);
        if (lane_heard > heard) heard = lane_heard;
        if (lane_since > since) since = lane_since;
    }
    return since && since >= heard;
}

/* What this turn has begun to write to, so that its commands keep their order and leave together; else the link with
   the least in flight that answers. */
static link_t *choose(redis_node_t *node) {
    link_t *best = node->current;
    if (best && link_is_writing(best)) return best;
    best = NULL;
    if (is_silent(node)) return NULL;
    for (int i = 0; i < node->lanes.count; i++) {
        lane_t *lane = &node->lanes.of[i];
        if (!lane->up || link_silent_since(lane->link)) continue;
        if (!best || link_load(lane->link) < link_load(best)) best = lane->link;
    }
    return best;
}

void redis_node_send(redis_node_t *node, redis_command_t *command) {
    link_t *link = choose(node);
    if (link) {
        send_on(node, link, command);
    } else if (node->lanes.up) {
        refuse(node, command, ERR_UNAVAILABLE, "the server has not answered in time");
    } else if (node->lanes.failed) {
        refuse(node, command, ERR_UNAVAILABLE, node->lanes.fault);
    } else {
        command->at = node;
        list_push(&node->waiting, &command->node);
    }
}

bool redis_node_up(const redis_node_t *node) {
    return node->lanes.up > 0;
}

bool redis_node_answers(const redis_node_t *node) {
    return node->lanes.up > 0 && !is_silent(node);
}

bool redis_node_down(const redis_node_t *node) {
    return node->lanes.failed;
}

size_t redis_node_load(const redis_node_t *node) {
    size_t load = 0;
    for (int i = 0; i < node->lanes.count; i++)
        if (node->lanes.of[i].link) load += link_load(node->lanes.of[i].link);
    return load;
}

const redis_endpoint_t *redis_node_at(const redis_node_t *node) {
    return &node->options.at;
}

const redis_access_t *redis_node_access(const redis_node_t *node) {
    return &node->access;
}
