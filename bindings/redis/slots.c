/* slots.c: which server of a Cluster holds which slot, as its servers last said. */
#include "redis/slots.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "redis/crc16.h"

int redis_slot(span_t key) {
    const char *open = key.len ? memchr(key.ptr, '{', key.len) : NULL;
    if (open) {
        const char *tag = open + 1;
        const char *close = memchr(tag, '}', key.len - (size_t)(tag - key.ptr));
        if (close && close > tag) key = (span_t){tag, (size_t)(close - tag)};
    }
    return redis_crc16(key.ptr, key.len) % REDIS_SLOTS;
}

void redis_slots_create(redis_slots_t *slots) {
    memset(slots->of, 0, sizeof slots->of);
    list_init(&slots->shards);
    list_init(&slots->members);
    map_create(&slots->places);
}

static void free_shards(list_t *shards) {
    for (list_t *node; (node = list_shift(shards));)
        free(LIST_OWNER(node, redis_shard_t, node));
}

void redis_slots_destroy(redis_slots_t *slots) {
    free_shards(&slots->shards);
    for (list_t *node; (node = list_shift(&slots->members));)
        free(LIST_OWNER(node, redis_member_t, node));
    map_destroy(&slots->places);
}

static redis_member_t *add_member(redis_slots_t *slots, const redis_endpoint_t *at, span_t place) {
    redis_member_t *member = calloc(1, sizeof *member);
    if (!member) return NULL;
    member->at = *at;
    list_init(&member->node);
    if (map_set(&slots->places, place, member, NULL) != 0) {
        free(member);
        return NULL;
    }
    list_push(&slots->members, &member->node);
    return member;
}

redis_member_t *redis_slots_member(redis_slots_t *slots, const redis_endpoint_t *at) {
    char place[REDIS_HOST_MAX + 16];
    redis_endpoint_text(at, place, sizeof place);
    redis_member_t *member = map_get(&slots->places, span_of(place));
    return member ? member : add_member(slots, at, span_of(place));
}

void redis_slots_forget(redis_slots_t *slots, redis_member_t *member) {
    char place[REDIS_HOST_MAX + 16];
    redis_endpoint_text(&member->at, place, sizeof place);
    map_remove(&slots->places, span_of(place));
    list_remove(&member->node);
    free(member);
}

/* What an answer says, until all of it is known to be sound. */
typedef struct reading {
    redis_slots_t *slots;
    const redis_endpoint_t *from;
    list_t shards;
    redis_shard_t *of[REDIS_SLOTS];
    bool any;
} reading_t;

static redis_shard_t *shard_of(list_t *shards, redis_member_t *master) {
    for (list_t *node = shards->next; node != shards; node = node->next) {
        redis_shard_t *shard = LIST_OWNER(node, redis_shard_t, node);
        if (shard->master == master) return shard;
    }
    redis_shard_t *shard = calloc(1, sizeof *shard);
    if (!shard) return NULL;
    list_init(&shard->node);
    shard->master = master;
    list_push(shards, &shard->node);
    return shard;
}

/* [host, port, …]; the host may be missing or empty, which means the one that was asked, or "?", which nobody knows. */
static bool read_endpoint(const reading_t *reading, const redisReply *entry, redis_endpoint_t *at) {
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements < 2) return false;
    const redisReply *host = entry->element[0], *port = entry->element[1];
    if (port->type != REDIS_REPLY_INTEGER || port->integer < 1 || port->integer > 65535)
        return false;
    bool named = host->type == REDIS_REPLY_STRING && host->len > 0;
    const char *name = named ? host->str : reading->from->host;
    if (strlen(name) >= sizeof at->host || strcmp(name, "?") == 0) return false;
    snprintf(at->host, sizeof at->host, "%s", name);
    at->port = (int)port->integer;
    return true;
}

static int add_replica(reading_t *reading, redis_shard_t *shard, const redisReply *entry) {
    redis_endpoint_t at;
    if (shard->replica_count == REDIS_REPLICAS_MAX || !read_endpoint(reading, entry, &at)) return 0;
    redis_member_t *replica = redis_slots_member(reading->slots, &at);
    if (!replica) return ERR_NO_MEMORY;
    for (int i = 0; i < shard->replica_count; i++)
        if (shard->replicas[i] == replica) return 0;
    shard->replicas[shard->replica_count++] = replica;
    return 0;
}

/* A range whose master has no known address belongs to nobody. */
static int fill(reading_t *reading, const redisReply *range, int first, int last) {
    redis_endpoint_t at;
    if (!read_endpoint(reading, range->element[2], &at)) return 0;
    redis_member_t *master = redis_slots_member(reading->slots, &at);
    redis_shard_t *shard = master ? shard_of(&reading->shards, master) : NULL;
    int err = shard ? 0 : ERR_NO_MEMORY;
    for (size_t i = 3; !err && i < range->elements; i++)
        err = add_replica(reading, shard, range->element[i]);
    for (int slot = first; !err && slot <= last; slot++)
        reading->of[slot] = shard;
    reading->any = true;
    return err;
}

/* [first, last, master, replica, …] */
static int read_range(reading_t *reading, const redisReply *range) {
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3) return ERR_INVALID;
    const redisReply *first = range->element[0], *last = range->element[1];
    if (first->type != REDIS_REPLY_INTEGER || last->type != REDIS_REPLY_INTEGER) return ERR_INVALID;
    if (first->integer < 0 || last->integer < first->integer || last->integer >= REDIS_SLOTS)
        return ERR_INVALID;
    return fill(reading, range, (int)first->integer, (int)last->integer);
}

static int read_all(reading_t *reading, const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY) return ERR_INVALID;
    int err = 0;
    for (size_t i = 0; !err && i < reply->elements; i++)
        err = read_range(reading, reply->element[i]);
    return err || reading->any ? err : ERR_INVALID;
}

static void adopt(redis_slots_t *slots, reading_t *reading) {
    for (list_t *node = slots->members.next; node != &slots->members; node = node->next) {
        redis_member_t *member = LIST_OWNER(node, redis_member_t, node);
        member->listed = false;
        member->shard = NULL;
    }
    free_shards(&slots->shards);
    list_splice(&slots->shards, &reading->shards);
    memcpy(slots->of, reading->of, sizeof slots->of);
    for (list_t *node = slots->shards.next; node != &slots->shards; node = node->next) {
        redis_shard_t *shard = LIST_OWNER(node, redis_shard_t, node);
        shard->master->shard = shard;
        shard->master->listed = true;
        for (int i = 0; i < shard->replica_count; i++)
            shard->replicas[i]->listed = true;
    }
}

/* 128 KB, which do not belong on the stack of a Lua task. */
int redis_slots_take(redis_slots_t *slots, const redisReply *reply, const redis_endpoint_t *from) {
    reading_t *reading = calloc(1, sizeof *reading);
    if (!reading) return ERR_NO_MEMORY;
    reading->slots = slots;
    reading->from = from;
    list_init(&reading->shards);
    int err = read_all(reading, reply);
    if (!err) adopt(slots, reading);
    free_shards(&reading->shards);
    free(reading);
    return err;
}

int redis_slots_move(redis_slots_t *slots, int slot, const redis_endpoint_t *to) {
    redis_member_t *member = redis_slots_member(slots, to);
    redis_shard_t *shard = member ? shard_of(&slots->shards, member) : NULL;
    if (!shard) return ERR_NO_MEMORY;
    member->shard = shard;
    slots->of[slot] = shard;
    return 0;
}

bool redis_slots_redirection(
    const redisReply *reply, const redis_endpoint_t *from, int *slot, redis_endpoint_t *to) {
    uint64_t number, port;
    span_t text = {reply->str, reply->len};
    if (!redis_reply_is(reply, "MOVED") && !redis_reply_is(reply, "ASK")) return false;
    span_cut(&text, ' ');
    span_t slot_text = span_cut(&text, ' '), place = span_cut(&text, ' ');
    if (span_to_u64(slot_text, &number) != 0 || number >= REDIS_SLOTS) return false;
    size_t colon = place.len;
    while (colon > 0 && place.ptr[colon - 1] != ':') /* the last one: an IPv6 address has more */
        colon--;
    if (colon == 0) return false;
    span_t port_text = {place.ptr + colon, place.len - colon}, host = {place.ptr, colon - 1};
    if (span_to_u64(port_text, &port) != 0 || port == 0 || port > 65535) return false;
    if (host.len == 0) host = span_of(from->host);
    if (host.len == 0 || host.len >= sizeof to->host || span_eq(host, SPAN("?"))) return false;
    memcpy(to->host, host.ptr, host.len);
    to->host[host.len] = '\0';
    to->port = (int)port;
    *slot = (int)number;
    return true;
}
