/* replica.h: the replicas of one master that are read from. */
#ifndef PERIGEE_REDIS_REPLICA_H
#define PERIGEE_REDIS_REPLICA_H
#include "redis/drain.h"

#define REDIS_REPLICAS_MAX 8 /* more are not needed */

typedef struct redis_replicas {
    redis_t *redis;
    const redis_access_t *access;
    redis_drain_t *drain;
    redis_node_t *nodes[REDIS_REPLICAS_MAX];
    int count, turn; /* turn: the one that was asked last */
} redis_replicas_t;

/* What is given must outlive the set. */
void redis_replicas_create(
    redis_replicas_t *replicas, redis_t *redis, const redis_access_t *access, redis_drain_t *drain);
/* These and no others from now on; those that stay keep their connections. */
void redis_replicas_set(redis_replicas_t *replicas, const redis_endpoint_t *at, int count);
/* The next that answers, or NULL: the master knows the same and more. */
redis_node_t *redis_replicas_pick(redis_replicas_t *replicas);

#endif
