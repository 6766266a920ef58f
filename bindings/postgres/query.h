/* query.h: a query's life, and the inside of a postgres_t, for the floors of this folder. */
#ifndef PERIGEE_POSTGRES_QUERY_H
#define PERIGEE_POSTGRES_QUERY_H
#include "postgres/node.h"

typedef struct postgres_subscriber postgres_subscriber_t;
typedef struct postgres_meter postgres_meter_t;

struct postgres {
    postgres_ground_t ground;
    postgres_options_t options; /* without the URLs */
    postgres_url_t url, read_url, listen_url;
    bool has_read_url, has_listen_url;
    postgres_node_t *main, *read;      /* read: NULL without a read_url */
    pool_t *pool;                      /* from the first lease on */
    postgres_subscriber_t *subscriber; /* from the first subscription on */
    postgres_meter_t *meter;           /* with a read_url */
    size_t count;                      /* queries that have not ended */
    bool closing;
};

/* The lease on which a slow query is sent: errand.c begins it, the query's end gives it back. */
typedef struct postgres_errand {
    lease_t lease;
    postgres_query_t *query;
} postgres_errand_t;

/* A query's life: begun here with a floor's settle, ended here by `postgres_finish`, which calls done. */
void postgres_begin(
    postgres_t *postgres, postgres_query_t *query, void (*settle)(postgres_query_t *));
void postgres_finish(postgres_query_t *query);
/* One query less; frees the client when it is closing and this was the last. */
void postgres_leave(postgres_t *postgres);
/* Frees the client if it is closing and no query is left. */
void postgres_gone(postgres_t *postgres);
/* Ends it on a later turn. */
void postgres_finish_later(postgres_query_t *query, int err, const char *detail);
/* 0, or why this query may not be begun: ERR_CLOSED, ERR_BUSY, ERR_INVALID with query->detail. owned: on a lease. */
int postgres_check(postgres_t *postgres, postgres_query_t *query, bool owned);
/* It has not happened, and is to be sent again. */
void postgres_again(postgres_query_t *query);

/* pool.c: the link of a lease that may be used; NULL: it has gone, or something on it is being stopped. */
postgres_link_t *postgres_lease_link(const lease_t *lease);

#endif
