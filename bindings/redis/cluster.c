/* cluster.c: the router of a Cluster: keys go to their slot's master, redirections are followed, and what the servers
   say about themselves is asked again when it turns out to be wrong or a connection is lost. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/log.h"
#include "base/backoff.h"
#include "redis/drain.h"
#include "redis/router.h"
#include "redis/slots.h"
#include "redis/subscribe.h"

#define STORM_MS 250 /* at least, between two questions that redirections gave rise to */
/* Between two questions, of which a random half is added: no redirection tells of a new replica. */
#define REPLICAS_MS 2000
/* A server that only a redirection named stays so long after the last one. */
#define LINGER_MS 10000

typedef struct cluster {
    redis_router_t router;
    redis_t *redis;
    redis_access_t reading; /* as the main one, with READONLY */
    redis_slots_t slots;
    bool known;   /* the slots are, from some answer */
    bool doubted; /* a connection was lost since all was well */
    /* From the URL: connected only while no server of the Cluster is. */
    redis_node_t *seeds[REDIS_ENDPOINTS_MAX];
    size_t seed_count;
    redis_node_t *nowhere; /* refuses */
    redis_drain_t drain;
    /* The one question under way. Its memory is here, and so the router outlives its close until it has ended. */
    redis_command_t question;
    span_t words[2];
    redis_endpoint_t asked;
    bool asking, complained, closed;
    deadline_t refresh, tidy;
    uint64_t learnt_ms;
    backoff_t backoff;
} cluster_t;

static uint64_t now_of(const cluster_t *cluster) {
    return loop_now(redis_loop(cluster->redis));
}

static void on_node(void *data, redis_node_t *node, bool up);

static redis_node_t *connect_to(
    cluster_t *cluster, const redis_endpoint_t *at, const redis_access_t *access, int links) {
    redis_node_options_t options = {.redis = cluster->redis,
        .at = *at,
        .access = access,
        .links = links,
        .changed = on_node,
        .data = cluster};
    return redis_node_new(&options);
}

/* NULL: no memory. */
static redis_node_t *link_of(cluster_t *cluster, redis_member_t *member) {
    if (!member->link)
        member->link = connect_to(
            cluster, &member->at, redis_main_access(cluster->redis), redis_links(cluster->redis));
    return member->link;
}

static redis_node_t *reader_of(cluster_t *cluster, redis_member_t *member) {
    if (!member->reader)
        member->reader =
            connect_to(cluster, &member->at, &cluster->reading, redis_links(cluster->redis));
    return member->reader;
}

static bool is_up(const redis_node_t *node) {
    return node && redis_node_up(node);
}

#define EACH_MEMBER(cluster, member)                                                               \
    for (list_t *at_ = (cluster)->slots.members.next, *next_ = at_->next;                          \
         at_ != &(cluster)->slots.members &&                                                       \
         ((member) = LIST_OWNER(at_, redis_member_t, node), true);                                 \
         at_ = next_, next_ = at_->next)

/* A server to ask: any that answers, by lot, so that one whose view is old or that hangs is not asked twice. */
static redis_node_t *someone(cluster_t *cluster) {
    redis_node_t *found = NULL;
    redis_member_t *member;
    uint32_t count = 0;
    EACH_MEMBER(cluster, member) {
        redis_node_t *node = is_up(member->link) ? member->link : member->reader;
        if (is_up(node) && randombytes_uniform(++count) == 0) found = node;
    }
    for (size_t i = 0; !found && i < cluster->seed_count; i++)
        if (is_up(cluster->seeds[i])) found = cluster->seeds[i];
    return found;
}

static void open_seeds(cluster_t *cluster) {
    const redis_url_t *url = redis_url(cluster->redis);
    if (cluster->seed_count) return;
    for (size_t i = 0; i < url->count; i++) {
        redis_node_t *seed = connect_to(cluster, &url->at[i], redis_main_access(cluster->redis), 1);
        if (seed) cluster->seeds[cluster->seed_count++] = seed;
    }
}

static void close_seeds(cluster_t *cluster) {
    while (cluster->seed_count)
        redis_drain_add(&cluster->drain, cluster->seeds[--cluster->seed_count]);
}

/* Once a question is under way, its answer decides what comes next. */
static void refresh_in(cluster_t *cluster, uint64_t ms) {
    uint64_t at = now_of(cluster) + ms;
    if (cluster->asking) return;
    if (!deadline_armed(&cluster->refresh) || cluster->refresh.at_ms > at)
        deadline_set(redis_loop(cluster->redis), &cluster->refresh, at);
}

static void refresh_again(cluster_t *cluster) {
    refresh_in(cluster, backoff_next(&cluster->backoff, now_of(cluster)));
}

/* A storm of redirections is worth one question: each has been taken to heart already for its own slot. */
static void refresh_for_redirection(cluster_t *cluster) {
    uint64_t since = now_of(cluster) - cluster->learnt_ms;
    refresh_in(cluster, since < STORM_MS ? STORM_MS - since + randombytes_uniform(STORM_MS) : 0);
}

static void take_away(cluster_t *cluster, redis_node_t **node) {
    if (*node) redis_drain_add(&cluster->drain, *node);
    *node = NULL;
}

/* Closes what is of no use any more: to servers that left, to replicas that were masters and the other way round. */
static void tidy(cluster_t *cluster) {
    redis_member_t *member;
    uint64_t now = now_of(cluster);
    EACH_MEMBER(cluster, member) {
        bool named = member->redirected_ms && now - member->redirected_ms < LINGER_MS;
        if (member->shard || !member->listed) take_away(cluster, &member->reader);
        if (member->shard) continue;
        if (named) {
            deadline_set(redis_loop(cluster->redis), &cluster->tidy, now + LINGER_MS);
            continue;
        }
        take_away(cluster, &member->link);
        if (member->listed) continue;
        redis_subscriber_left(cluster->redis, &member->at);
        redis_slots_forget(&cluster->slots, member);
    }
}

static void on_tidy(deadline_t *deadline) {
    tidy(LIST_OWNER(deadline, cluster_t, tidy));
}

static void connect_all(cluster_t *cluster) {
    redis_member_t *member;
    EACH_MEMBER(cluster, member) {
        if (member->shard)
            link_of(cluster, member);
        else if (member->listed && redis_url(cluster->redis)->replicas)
            reader_of(cluster, member);
    }
}

/* Whether some slots are with a server that cannot be reached: another may have taken over soon. */
static bool is_broken(cluster_t *cluster) {
    redis_member_t *member;
    EACH_MEMBER(cluster, member)
    if (member->shard && member->link && redis_node_down(member->link)) return true;
    return false;
}

static void learn(cluster_t *cluster) {
    cluster->known = true;
    cluster->complained = false;
    cluster->learnt_ms = now_of(cluster);
    connect_all(cluster);
    tidy(cluster);
    redis_rerouted(cluster->redis);
    cluster->doubted = is_broken(cluster);
    if (cluster->doubted) {
        refresh_again(cluster);
        return;
    }
    cluster->backoff = (backoff_t){0};
    if (redis_url(cluster->redis)->replicas)
        refresh_in(cluster, REPLICAS_MS + randombytes_uniform(REPLICAS_MS / 2));
}

/* Once in a row: it is asked again and again. The first word alone, as an error may repeat what was sent. */
static void complain(cluster_t *cluster, const redis_command_t *command) {
    const redisReply *reply = command->reply;
    bool error = reply && reply->type == REDIS_REPLY_ERROR;
    if (cluster->complained) return;
    cluster->complained = true;
    log_event(LOG_WARN, "redis_slots_unknown", "\"code\":\"%.*s\"",
        error ? (int)strspn(reply->str, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0, error ? reply->str : "");
}

static void on_answer(redis_command_t *command) {
    cluster_t *cluster = command->data;
    cluster->asking = false;
    if (cluster->closed) {
        free(cluster);
        return;
    }
    int err = command->err;
    if (!err) err = redis_slots_take(&cluster->slots, command->reply, &cluster->asked);
    if (!err) {
        learn(cluster);
        return;
    }
    if (!command->err) complain(cluster, command);
    tidy(cluster);
    refresh_again(cluster);
}

static void ask(cluster_t *cluster, redis_node_t *node) {
    cluster->words[0] = SPAN("CLUSTER");
    cluster->words[1] = SPAN("SLOTS");
    cluster->question =
        (redis_command_t){.argv = cluster->words, .argc = 2, .done = on_answer, .data = cluster};
    cluster->asked = *redis_node_at(node);
    cluster->asking = true;
    redis_ask(cluster->redis, node, &cluster->question);
}

/* When nobody answers, the first who comes up is asked: see on_node. */
static void on_refresh(deadline_t *deadline) {
    cluster_t *cluster = LIST_OWNER(deadline, cluster_t, refresh);
    redis_node_t *node = someone(cluster);
    if (node)
        ask(cluster, node);
    else
        open_seeds(cluster);
}

static bool is_seed(const cluster_t *cluster, const redis_node_t *node) {
    for (size_t i = 0; i < cluster->seed_count; i++)
        if (cluster->seeds[i] == node) return true;
    return false;
}

static void on_node(void *data, redis_node_t *node, bool up) {
    cluster_t *cluster = data;
    if (!up) {
        cluster->doubted = true;
        if (cluster->known)
            refresh_again(cluster);
        else
            redis_rerouted(cluster->redis); /* to be refused, if it was the last */
        return;
    }
    if (!cluster->known || cluster->doubted) refresh_in(cluster, 0);
    if (cluster->known && !is_seed(cluster, node)) close_seeds(cluster);
    redis_rerouted(cluster->redis);
}

/* While nothing is known, commands wait for that, unless no seed can be reached. */
static redis_node_t *nobody(const cluster_t *cluster) {
    for (size_t i = 0; i < cluster->seed_count; i++)
        if (!redis_node_down(cluster->seeds[i])) return NULL;
    return cluster->nowhere;
}

/* In turn, those that answer. */
static redis_shard_t *any_shard(cluster_t *cluster) {
    list_t *shards = &cluster->slots.shards;
    for (list_t *node = shards->next; node != shards; node = node->next) {
        redis_shard_t *shard = LIST_OWNER(node, redis_shard_t, node);
        if (!is_up(shard->master->link)) continue;
        list_remove(node);
        list_push(shards, node);
        return shard;
    }
    return LIST_OWNER(shards->next, redis_shard_t, node);
}

/* The next replica that answers, or NULL. */
static redis_node_t *next_reader(cluster_t *cluster, redis_shard_t *shard) {
    for (int i = 0; i < shard->replica_count; i++) {
        shard->turn = (shard->turn + 1) % shard->replica_count;
        redis_node_t *reader = reader_of(cluster, shard->replicas[shard->turn]);
        if (is_up(reader)) return reader;
    }
    return NULL;
}

static redis_node_t *pick(redis_router_t *router, span_t key, bool replica) {
    cluster_t *cluster = (cluster_t *)router;
    if (!cluster->known) return nobody(cluster);
    redis_shard_t *shard = key.len ? cluster->slots.of[redis_slot(key)] : NULL;
    if (!shard) shard = any_shard(cluster); /* it says what is the matter with an empty slot */
    bool reads = replica && redis_url(cluster->redis)->replicas;
    redis_node_t *reader = reads ? next_reader(cluster, shard) : NULL;
    return reader ? reader : link_of(cluster, shard->master);
}

static redis_redirect_t moved(cluster_t *cluster, int slot, const redis_endpoint_t *to) {
    if (redis_slots_move(&cluster->slots, slot, to) != 0)
        return (redis_redirect_t){.verdict = REDIS_PASS};
    cluster->slots.of[slot]->master->redirected_ms = now_of(cluster);
    refresh_for_redirection(cluster);
    return (redis_redirect_t){.verdict = REDIS_AGAIN};
}

static redis_redirect_t ask_there(cluster_t *cluster, const redis_endpoint_t *to) {
    redis_member_t *member = redis_slots_member(&cluster->slots, to);
    redis_node_t *node = member ? link_of(cluster, member) : NULL;
    if (!node) return (redis_redirect_t){.verdict = REDIS_PASS};
    member->redirected_ms = now_of(cluster);
    if (!deadline_armed(&cluster->tidy))
        deadline_set(redis_loop(cluster->redis), &cluster->tidy, now_of(cluster) + LINGER_MS);
    return (redis_redirect_t){.verdict = REDIS_ASK, .node = node};
}

static redis_redirect_t on_error(
    redis_router_t *router, redis_node_t *from, redis_command_t *command) {
    static const redis_endpoint_t NOWHERE;
    cluster_t *cluster = (cluster_t *)router;
    redis_endpoint_t to;
    int slot;
    if (redis_slots_redirection(command->reply, from ? redis_node_at(from) : &NOWHERE, &slot, &to))
        return redis_reply_is(command->reply, "MOVED") ? moved(cluster, slot, &to)
                                                       : ask_there(cluster, &to);
    if (redis_reply_is(command->reply, "CLUSTERDOWN") || redis_reply_is(command->reply, "READONLY"))
        refresh_for_redirection(cluster);
    return redis_later(command);
}

static bool up(const redis_router_t *router) {
    const cluster_t *cluster = (const cluster_t *)router;
    const list_t *shards = &cluster->slots.shards;
    for (const list_t *node = shards->next; node != shards; node = node->next) {
        redis_node_t *link = LIST_OWNER(node, redis_shard_t, node)->master->link;
        if (link && redis_node_answers(link)) return true;
    }
    return false;
}

static void close_cluster(redis_router_t *router) {
    cluster_t *cluster = (cluster_t *)router;
    redis_member_t *member;
    cluster->closed = true;
    close_seeds(cluster);
    EACH_MEMBER(cluster, member) {
        take_away(cluster, &member->link);
        take_away(cluster, &member->reader);
    }
    if (cluster->nowhere) redis_node_delete(cluster->nowhere);
    redis_drain_close(&cluster->drain);
    deadline_clear(&cluster->refresh);
    deadline_clear(&cluster->tidy);
    redis_slots_destroy(&cluster->slots);
    if (!cluster->asking) free(cluster);
}

redis_router_t *redis_cluster_new(redis_t *redis, char *why, size_t size) {
    cluster_t *cluster = calloc(1, sizeof *cluster);
    snprintf(why, size, "%s", err_text(ERR_NO_MEMORY));
    if (!cluster) return NULL;
    cluster->redis = redis;
    cluster->router =
        (redis_router_t){.pick = pick, .on_error = on_error, .up = up, .close = close_cluster};
    cluster->reading = *redis_main_access(redis);
    cluster->reading.readonly = true;
    redis_slots_create(&cluster->slots);
    redis_drain_create(&cluster->drain, redis_loop(redis));
    deadline_init(&cluster->refresh, on_refresh);
    deadline_init(&cluster->tidy, on_tidy);
    cluster->nowhere = redis_node_nowhere(redis);
    open_seeds(cluster);
    if (cluster->seed_count && cluster->nowhere) return &cluster->router;
    close_cluster(&cluster->router);
    return NULL;
}
