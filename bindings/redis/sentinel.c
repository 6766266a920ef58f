/* sentinel.c: the router of a master that Sentinels watch over. Whoever they name is asked for its role before it is
   spoken to, and they are asked again when one of them reports a switch, when the master is lost, and when it turns out
   to be none. */
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/log.h"
#include "base/backoff.h"
#include "redis/drain.h"
#include "redis/replica.h"
#include "redis/router.h"
#include "redis/subscribe.h"
#include "redis/watch.h"

#define REPLICAS_MS 10000 /* how old the list of replicas may be */

typedef struct group group_t;

/* What a Sentinel says: the master, and the number of the election that made it so. */
typedef struct claim {
    redis_endpoint_t at;
    uint64_t epoch;
} claim_t;

/* One of the Sentinels. */
typedef struct voice {
    group_t *group;
    redis_node_t *node;
    redis_watch_t watch;
    redis_command_t question;
    span_t words[3];
    bool asking, again;    /* again: asked for once more meanwhile */
    uint64_t asked, heard; /* in which survey it was asked and gave its last claim */
    claim_t claim;
} voice_t;

struct group {
    redis_router_t router;
    redis_t *redis;
    redis_access_t access; /* the main one, for masters only */
    voice_t voices[REDIS_ENDPOINTS_MAX];
    size_t count,
        open; /* open: questions under way; their memory is here, and so the router outlives its close */
    redis_node_t
        *master; /* whom the claim names; NULL: nobody, or one that turned out to be none */
    claim_t claim;
    redis_node_t *nowhere; /* refuses */
    redis_drain_t drain;
    redis_replicas_t replicas;
    redis_command_t listing;
    span_t words[3];
    bool is_listing, complained, closed;
    uint64_t survey; /* the number of the last one */
    deadline_t next;
    backoff_t backoff;
};

static uint64_t now_of(const group_t *group) {
    return loop_now(redis_loop(group->redis));
}

static bool is_served(const group_t *group) {
    return group->master && redis_node_up(group->master);
}

static bool lists(const group_t *group) {
    return redis_url(group->redis)->replicas && !redis_read_url(group->redis);
}

static void survey_in(group_t *group, uint64_t ms) {
    uint64_t at = now_of(group) + ms;
    if (!deadline_armed(&group->next) || group->next.at_ms > at)
        deadline_set(redis_loop(group->redis), &group->next, at);
}

static void survey_again(group_t *group) {
    survey_in(group, backoff_next(&group->backoff, now_of(group)));
}

/* The value of a field: RESP3 has a map and RESP2 a list, with the same elements. Empty when it is not there. */
static span_t field(const redisReply *reply, const char *name) {
    bool flat = reply->type == REDIS_REPLY_ARRAY || reply->type == REDIS_REPLY_MAP;
    for (size_t i = 0; flat && i + 1 < reply->elements; i += 2) {
        const redisReply *key = reply->element[i], *value = reply->element[i + 1];
        if (key->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
            strcmp(key->str, name) == 0)
            return (span_t){value->str, value->len};
    }
    return (span_t){"", 0};
}

static bool read_endpoint(const redisReply *reply, redis_endpoint_t *at) {
    uint64_t port;
    span_t host = field(reply, "ip");
    if (host.len == 0 || host.len >= sizeof at->host) return false;
    if (span_to_u64(field(reply, "port"), &port) != 0 || port == 0 || port > 65535) return false;
    memcpy(at->host, host.ptr, host.len);
    at->host[host.len] = '\0';
    at->port = (int)port;
    return true;
}

static void tell(const redis_endpoint_t *at) {
    char server[REDIS_HOST_MAX + 16];
    buf_t *line = log_begin(LOG_INFO, "redis_master");
    if (!line) return;
    redis_endpoint_text(at, server, sizeof server);
    buf_text(line, ",\"server\":");
    buf_json(line, span_of(server));
    log_end();
}

/* Nothing goes to the old one any more, but for answers to what it was asked before. */
static void leave_master(group_t *group) {
    if (!group->master) return;
    redis_endpoint_t at = *redis_node_at(group->master);
    redis_drain_add(&group->drain, group->master);
    group->master = NULL;
    redis_subscriber_left(group->redis, &at);
}

static void on_node(void *data, redis_node_t *node, bool up);

static void follow(group_t *group, const claim_t *claim) {
    redis_node_options_t options = {.redis = group->redis,
        .at = claim->at,
        .access = &group->access,
        .links = redis_links(group->redis),
        .changed = on_node,
        .data = group};
    bool same = redis_endpoint_eq(&group->claim.at, &claim->at) && group->master;
    redis_node_t *master = same ? group->master : redis_node_new(&options);
    if (!master) return;
    group->claim = *claim;
    if (same) return;
    leave_master(group);
    group->master = master;
    tell(&claim->at);
    redis_rerouted(group->redis);
}

/* s_down, o_down and disconnected are a Sentinel's words for one that cannot be reached. */
static bool is_readable(const redisReply *replica) {
    span_t flags = field(replica, "flags");
    while (flags.len) {
        span_t flag = span_cut(&flags, ',');
        if (span_eq(flag, SPAN("s_down")) || span_eq(flag, SPAN("o_down")) ||
            span_eq(flag, SPAN("disconnected")))
            return false;
    }
    return span_eq(field(replica, "master-link-status"), SPAN("ok"));
}

static void set_replicas(group_t *group, const redisReply *reply) {
    redis_endpoint_t at[REDIS_REPLICAS_MAX];
    int count = 0;
    for (size_t i = 0; i < reply->elements && count < REDIS_REPLICAS_MAX; i++)
        if (is_readable(reply->element[i]) && read_endpoint(reply->element[i], &at[count])) count++;
    redis_replicas_set(&group->replicas, at, count);
}

static bool is_gone(group_t *group) {
    group->open--;
    if (!group->closed) return false;
    if (group->open == 0) free(group);
    return true;
}

static void on_listed(redis_command_t *command) {
    group_t *group = command->data;
    if (is_gone(group)) return;
    group->is_listing = false;
    if (!command->err && command->reply->type == REDIS_REPLY_ARRAY)
        set_replicas(group, command->reply);
}

static void ask(group_t *group, redis_node_t *node, redis_command_t *command, span_t *words,
    const char *what, void (*done)(redis_command_t *), void *data) {
    words[0] = SPAN("SENTINEL");
    words[1] = span_of(what);
    words[2] = span_of(redis_url(group->redis)->master);
    *command = (redis_command_t){.argv = words, .argc = 3, .done = done, .data = data};
    group->open++;
    redis_ask(group->redis, node, command);
}

static void list_replicas(group_t *group, const voice_t *voice) {
    if (!lists(group) || group->is_listing) return;
    group->is_listing = true;
    ask(group, voice->node, &group->listing, group->words, "REPLICAS", on_listed, group);
    survey_in(group, REPLICAS_MS);
}

/* The latest election counts, once so many Sentinels have spoken that one that was cut off cannot be alone, or nobody
   else will speak. An older election than the known one is believed only from all of them, or while there is no master
   to lose. */
static void decide(group_t *group) {
    const voice_t *best = NULL;
    size_t heard = 0, waiting = 0;
    for (size_t i = 0; i < group->count; i++) {
        const voice_t *voice = &group->voices[i];
        waiting += voice->asking;
        if (voice->heard != group->survey) continue;
        heard++;
        if (!best || voice->claim.epoch > best->claim.epoch) best = voice;
    }
    if (waiting && heard <= group->count / 2) return;
    bool certain = heard == group->count || !is_served(group);
    if (best && (certain || best->claim.epoch >= group->claim.epoch)) follow(group, &best->claim);
    if (best) list_replicas(group, best);
    if (!is_served(group)) survey_again(group);
}

/* Once in a row: it is asked again and again. */
static void complain(group_t *group, const redisReply *reply) {
    bool error = reply->type == REDIS_REPLY_ERROR;
    if (group->complained) return;
    group->complained = true;
    log_event(LOG_WARN, "redis_master_unknown", "\"code\":\"%.*s\"",
        error ? (int)strspn(reply->str, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0, error ? reply->str : "");
}

static void ask_voice(voice_t *voice);

static void on_claim(redis_command_t *command) {
    voice_t *voice = command->data;
    group_t *group = voice->group;
    claim_t claim;
    if (is_gone(group)) return;
    voice->asking = false;
    bool answered = !command->err && read_endpoint(command->reply, &claim.at) &&
                    span_to_u64(field(command->reply, "config-epoch"), &claim.epoch) == 0;
    if (answered) {
        voice->claim = claim;
        voice->heard = voice->asked;
        group->complained = false;
    } else if (!command->err) {
        complain(group, command->reply);
    }
    if (voice->again) ask_voice(voice);
    decide(group);
}

/* One that is being asked already may have been asked before the news. */
static void ask_voice(voice_t *voice) {
    voice->again = voice->asking;
    if (voice->asking) return;
    voice->asking = true;
    voice->asked = voice->group->survey;
    ask(voice->group, voice->node, &voice->question, voice->words, "MASTER", on_claim, voice);
}

static void on_next(deadline_t *deadline) {
    group_t *group = LIST_OWNER(deadline, group_t, next);
    group->survey++;
    for (size_t i = 0; i < group->count; i++)
        ask_voice(&group->voices[i]);
}

static void on_switched(void *data) {
    survey_in(data, 0);
}

static bool is_voice(const group_t *group, const redis_node_t *node) {
    for (size_t i = 0; i < group->count; i++)
        if (group->voices[i].node == node) return true;
    return false;
}

static void on_node(void *data, redis_node_t *node, bool up) {
    group_t *group = data;
    if (node == group->master && up) {
        group->backoff = (backoff_t){0};
        redis_rerouted(group->redis);
    } else if (node == group->master) {
        survey_again(group);
    } else if (is_voice(group, node) && !is_served(group)) {
        if (up) survey_in(group, 0);
        if (!group->master) redis_rerouted(group->redis); /* to be refused, if it was the last */
    }
}

/* While no master is known, commands wait for one, unless no Sentinel can be reached. */
static redis_node_t *nobody(const group_t *group) {
    for (size_t i = 0; i < group->count; i++)
        if (!redis_node_down(group->voices[i].node)) return NULL;
    return group->nowhere;
}

static redis_node_t *pick(redis_router_t *router, span_t key, bool replica) {
    group_t *group = (group_t *)router;
    (void)key;
    redis_node_t *reader = replica ? redis_replicas_pick(&group->replicas) : NULL;
    if (reader) return reader;
    return group->master ? group->master : nobody(group);
}

/* A master that is read-only has become a replica. Its connections are given up, and new ones are made only to one that
   says it is a master. An answer of one that was left already changes nothing. */
static void distrust(group_t *group, const redis_node_t *from) {
    if (from && from == group->master) leave_master(group);
    survey_in(group, 0);
}

static redis_redirect_t on_error(
    redis_router_t *router, redis_node_t *from, redis_command_t *command) {
    group_t *group = (group_t *)router;
    bool readonly = redis_reply_is(command->reply, "READONLY");
    if (command->replica && command->hops == 0) return (redis_redirect_t){.verdict = REDIS_AGAIN};
    if (readonly) distrust(group, from);
    if (readonly || redis_reply_is(command->reply, "LOADING")) return redis_later(command);
    return (redis_redirect_t){.verdict = REDIS_PASS};
}

static bool up(const redis_router_t *router) {
    const group_t *group = (const group_t *)router;
    return group->master && redis_node_answers(group->master);
}

static void close_group(redis_router_t *router) {
    group_t *group = (group_t *)router;
    group->closed = true;
    deadline_clear(&group->next);
    for (size_t i = 0; i < group->count; i++) {
        redis_watch_stop(&group->voices[i].watch);
        redis_node_delete(group->voices[i].node);
    }
    if (group->master) redis_node_delete(group->master);
    if (group->nowhere) redis_node_delete(group->nowhere);
    redis_replicas_set(&group->replicas, NULL, 0);
    redis_drain_close(&group->drain);
    if (group->open == 0) free(group);
}

static bool add_voice(group_t *group, const redis_endpoint_t *at) {
    voice_t *voice = &group->voices[group->count];
    const redis_access_t *access = redis_sentinel_access(group->redis);
    redis_node_options_t options = {.redis = group->redis,
        .at = *at,
        .access = access,
        .links = 1,
        .changed = on_node,
        .data = group};
    voice->group = group;
    voice->node = redis_node_new(&options);
    if (!voice->node) return false;
    voice->watch = (redis_watch_t){.loop = redis_loop(group->redis),
        .at = *at,
        .access = *access,
        .connect_ms = redis_connect_ms(group->redis),
        .switched = on_switched,
        .data = group};
    redis_watch_start(&voice->watch);
    group->count++;
    return true;
}

static void prepare(group_t *group) {
    const redis_url_t *read = redis_read_url(group->redis);
    group->access = *redis_main_access(group->redis);
    group->access.master = true;
    redis_drain_create(&group->drain, redis_loop(group->redis));
    redis_replicas_create(&group->replicas, group->redis,
        read ? redis_read_access(group->redis) : redis_main_access(group->redis), &group->drain);
    if (read) redis_replicas_set(&group->replicas, read->at, 1);
    deadline_init(&group->next, on_next);
    group->nowhere = redis_node_nowhere(group->redis);
}

redis_router_t *redis_sentinel_new(redis_t *redis, char *why, size_t size) {
    const redis_url_t *url = redis_url(redis);
    group_t *group = calloc(1, sizeof *group);
    snprintf(why, size, "%s", err_text(ERR_NO_MEMORY));
    if (!group) return NULL;
    group->redis = redis;
    group->router =
        (redis_router_t){.pick = pick, .on_error = on_error, .up = up, .close = close_group};
    prepare(group);
    for (size_t i = 0; i < url->count && group->nowhere; i++)
        if (!add_voice(group, &url->at[i])) break;
    survey_in(group, 0);
    if (group->count == url->count) return &group->router;
    close_group(&group->router);
    return NULL;
}
