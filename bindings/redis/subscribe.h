/* subscribe.h: what the client and its routers tell the one connection of all subscriptions. */
#ifndef PERIGEE_REDIS_SUBSCRIBE_H
#define PERIGEE_REDIS_SUBSCRIBE_H
#include "redis/command.h"

/* A server does not belong to the group any more, and may pass on nothing of what is published: if the subscriptions
   are connected there, they connect elsewhere. */
void redis_subscriber_left(redis_t *redis, const redis_endpoint_t *at);
void redis_subscriber_close(redis_subscriber_t *subscriber);

#endif
