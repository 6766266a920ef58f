/* node.h: one server's address, the shared links to it, and the commands that wait for one of them. */
#ifndef PERIGEE_REDIS_NODE_H
#define PERIGEE_REDIS_NODE_H
#include "redis/link.h"

typedef struct redis_node redis_node_t;

typedef struct redis_node_options {
    redis_t *redis;
    redis_endpoint_t at;
    const redis_access_t *access;
    int links; /* 1..LANES_MOST */
    /* It was connected, or the last of its links was lost or could not be opened; may delete the node. NULL: nobody
       cares. */
    void (*changed)(void *data, redis_node_t *node, bool up);
    void *data;
} redis_node_options_t;

/* Starts to connect and goes on for ever, with pauses that double up to a second, jittered. NULL: no memory. */
redis_node_t *redis_node_new(const redis_node_options_t *options);
/* One that has no server and refuses every command. NULL: no memory. */
redis_node_t *redis_node_nowhere(redis_t *redis);
/* Closes its links. What was sent ends with ERR_CLOSED, what waits with ERR_UNAVAILABLE, on a later turn (what was not
   sent or may be sent twice then goes to the router again, if it is of redis_submit). */
void redis_node_delete(redis_node_t *node);
/* Gets no more commands and connects no more; what was sent is still answered, what waits ends with ERR_UNAVAILABLE on
   a later turn, as if it were deleted. */
void redis_node_retire(redis_node_t *node);
/* Sends on the link with the fewest in flight, or the one this turn uses already. While nothing is connected yet the
   command waits; when the last attempt failed, it ends with ERR_UNAVAILABLE on a later turn. */
void redis_node_send(redis_node_t *node, redis_command_t *command);
/* Something is connected. */
bool redis_node_up(const redis_node_t *node);
/* It is, and nobody has waited for an answer in vain since the last one. */
bool redis_node_answers(const redis_node_t *node);
/* The last attempt failed and nothing is connected. */
bool redis_node_down(const redis_node_t *node);
size_t redis_node_load(const redis_node_t *node);
const redis_endpoint_t *redis_node_at(const redis_node_t *node);
const redis_access_t *redis_node_access(const redis_node_t *node);

#endif
