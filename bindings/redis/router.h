/* router.h: which node answers for a key; one server, a Cluster and a Sentinel group each fill this table. */
#ifndef PERIGEE_REDIS_ROUTER_H
#define PERIGEE_REDIS_ROUTER_H
#include "redis/command.h"
#include "redis/node.h"

#define REDIS_HOPS_MAX 5

/* What is to become of a command that was answered with an error. */
typedef enum {
    REDIS_PASS,  /* the submitter gets the error */
    REDIS_AGAIN, /* pick again: the router knows better now; after_ms later when that is not 0 */
    REDIS_ASK    /* to `node`, this once, with ASKING before it */
} redis_verdict_t;
typedef struct redis_redirect {
    redis_verdict_t verdict;
    redis_node_t *node;
    uint64_t after_ms;
} redis_redirect_t;

struct redis_router {
    /* The node for a key (empty: any). NULL: not known yet; the command waits, until redis_rerouted or its deadline. */
    redis_node_t *(*pick)(redis_router_t *router, span_t key, bool replica);
    /* command->reply is an error of the kind that tells about the server, not about the command: MOVED, ASK, TRYAGAIN,
       CLUSTERDOWN, LOADING, MASTERDOWN, READONLY. Not called after REDIS_HOPS_MAX. `from` is NULL for a command on a
       leased connection, whose error is passed whatever the verdict. */
    redis_redirect_t (*on_error)(
        redis_router_t *router, redis_node_t *from, redis_command_t *command);
    bool (*up)(const redis_router_t *router);
    void (*close)(
        redis_router_t *router); /* deletes its nodes and itself; the loop is at its end */
};

/* A router's own command to one node: no refusals, no redirections, not counted against the bound; command->done comes
   on a later turn as for redis_submit. */
void redis_ask(redis_t *redis, redis_node_t *node, redis_command_t *command);
/* For a command that was refused before it ran. A replica's refusal sends it to the master at once, a master's that
   has become a replica to the next one; otherwise it is sent again if it is repeatable. All but the first after a pause
   that doubles, as long as there is time: the refusal is a better answer than none. */
redis_redirect_t redis_later(const redis_command_t *command);
/* The kinds there are; NULL with a sentence in why. */
redis_router_t *redis_single_new(redis_t *redis, char *why, size_t size);
redis_router_t *redis_cluster_new(redis_t *redis, char *why, size_t size);
redis_router_t *redis_sentinel_new(redis_t *redis, char *why, size_t size);

#endif
