/* drain.h: servers that get no more commands, kept until what was sent to them is answered. */
#ifndef PERIGEE_REDIS_DRAIN_H
#define PERIGEE_REDIS_DRAIN_H
#include "redis/node.h"

typedef struct redis_drain {
    loop_t *loop;
    list_t leaving;
    deadline_t look;
} redis_drain_t;

void redis_drain_create(redis_drain_t *drain, loop_t *loop);
/* Takes the node over. What waits for a connection to it finds another way; the node goes once nothing is open on it.
   Answers that nobody waits for any more count until their connection is given up, so that this ends. */
void redis_drain_add(redis_drain_t *drain, redis_node_t *node);
/* Deletes what is left. */
void redis_drain_close(redis_drain_t *drain);

#endif
