/* slots.h: which server of a Cluster holds which slot, as its servers last said. */
#ifndef PERIGEE_REDIS_SLOTS_H
#define PERIGEE_REDIS_SLOTS_H
#include "base/map.h"
#include "redis/replica.h"

#define REDIS_SLOTS 16384

typedef struct redis_shard redis_shard_t;

/* A server of the Cluster. The table owns the memory; the nodes are the router's, who makes them when they are needed
   and takes them away before redis_slots_forget and redis_slots_destroy. */
typedef struct redis_member {
    list_t node;
    redis_endpoint_t at;
    bool listed;            /* the last answer names it */
    redis_shard_t *shard;   /* it is the master of */
    redis_node_t *link;     /* for what only a master does; NULL: not connected */
    redis_node_t *reader;   /* for what a replica may do */
    uint64_t redirected_ms; /* loop time when a redirection named it last */
} redis_member_t;

/* A master with its replicas. */
struct redis_shard {
    list_t node;
    redis_member_t *master, *replicas[REDIS_REPLICAS_MAX];
    int replica_count, turn; /* turn: the replica that was asked last */
};

typedef struct redis_slots {
    redis_shard_t *of[REDIS_SLOTS]; /* NULL: nobody holds it */
    list_t shards, members;
    map_t places; /* endpoint's text → member */
} redis_slots_t;

/* The slot of a key: of what stands between its first { and the next }, unless that is nothing. */
int redis_slot(span_t key);

void redis_slots_create(redis_slots_t *slots);
void redis_slots_destroy(redis_slots_t *slots);
/* Takes the answer to CLUSTER SLOTS in place of what was known. `from` stands for a server that does not name itself.
   ERR_INVALID (not such an answer, or nobody holds any slot) or ERR_NO_MEMORY: all stays as it was. */
int redis_slots_take(redis_slots_t *slots, const redisReply *reply, const redis_endpoint_t *from);
/* The slot is at that server now (MOVED). ERR_NO_MEMORY. */
int redis_slots_move(redis_slots_t *slots, int slot, const redis_endpoint_t *to);
/* The server of that address; made when it is not known; NULL: no memory. */
redis_member_t *redis_slots_member(redis_slots_t *slots, const redis_endpoint_t *at);
/* For one that is not listed and holds no slot. */
void redis_slots_forget(redis_slots_t *slots, redis_member_t *member);

/* Takes "MOVED 3999 host:port" or "ASK 3999 host:port" apart; false for anything else. A host that is missing is
   `from`'s. */
bool redis_slots_redirection(
    const redisReply *reply, const redis_endpoint_t *from, int *slot, redis_endpoint_t *to);

#endif
