/* listen.h: what the client tells the one connection of all subscriptions. */
#ifndef PERIGEE_POSTGRES_LISTEN_H
#define PERIGEE_POSTGRES_LISTEN_H
#include "postgres/query.h"

void postgres_subscriber_close(postgres_subscriber_t *subscriber);

#endif
