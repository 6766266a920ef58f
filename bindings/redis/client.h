/* client.h: the inside of a redis_t, for the floors of this folder. */
#ifndef PERIGEE_REDIS_CLIENT_H
#define PERIGEE_REDIS_CLIENT_H
#include "redis/router.h"

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
/* 0, or why this command may not be begun: ERR_CLOSED, ERR_BUSY, ERR_INVALID with command->detail. */
int redis_check(redis_t *redis, redis_command_t *command, bool owned);

/* Whether an error tells about the server or the topology, not about the command. */
bool redis_is_routing(const redisReply *reply);

/* subscribe.c */
/* Connects elsewhere if it is connected there. */
void redis_subscriber_leave(redis_subscriber_t *subscriber, const redis_endpoint_t *at);
void redis_subscriber_close(redis_subscriber_t *subscriber);

#endif
