/* command.h: a command's life, and the inside of a redis_t, for the floors of this folder. */
#ifndef PERIGEE_REDIS_COMMAND_H
#define PERIGEE_REDIS_COMMAND_H
#include "redis/link.h"

typedef struct redis_router redis_router_t;
typedef struct redis_subscriber redis_subscriber_t;

struct redis {
    loop_t *loop;
    redis_options_t options;
    redis_url_t url, read_url;
    bool has_read_url;
    redis_access_t main, read, sentinel;
    redis_router_t *router;
    pool_t *pool;                   /* from the first lease on */
    redis_subscriber_t *subscriber; /* from the first subscription on */
    list_t unrouted;                /* commands whose node is not known yet */
    size_t count;                   /* commands that have not ended */
    deadline_t retry;               /* of the unrouted that wait for a time */
    deferred_t rerouted;
    bool closing;
};

/* A command's life: begun here with a floor's settle, ended here by `redis_finish`, which calls done. */
void redis_begin(redis_t *redis, redis_command_t *command, void (*settle)(redis_command_t *));
void redis_finish(redis_command_t *command);
/* Ends it on a later turn, without an answer. */
void redis_finish_later(redis_command_t *command, int err, const char *detail);
/* Frees the client when it is closing and no command is left. */
void redis_leave(redis_t *redis);
/* 0, or why this command may not be begun: ERR_CLOSED, ERR_BUSY, ERR_INTERNAL with command->detail. */
int redis_check(redis_t *redis, redis_command_t *command, bool owned);

/* What routers and nodes use of it. */
loop_t *redis_loop(const redis_t *redis);
uint64_t redis_connect_ms(const redis_t *redis);
uint64_t redis_command_ms(const redis_t *redis);
int redis_links(const redis_t *redis); /* shared links per node, for redis_node_options */
const redis_url_t *redis_url(const redis_t *redis);
const redis_url_t *redis_read_url(const redis_t *redis); /* NULL: none */
/* How the URL's servers are spoken to. A router copies it to change something (readonly). */
const redis_access_t *redis_main_access(const redis_t *redis);
const redis_access_t *redis_read_access(const redis_t *redis);
const redis_access_t *redis_sentinel_access(const redis_t *redis);
/* The router knows more now: commands that waited for it are routed again. On a later turn. */
void redis_rerouted(redis_t *redis);
/* Whether an error tells about the server or the topology, not about the command. */
bool redis_is_routing(const redisReply *reply);

#endif
