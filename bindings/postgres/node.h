/* node.h: the shared connections to one URL, and the queries that wait for one of them. */
#ifndef PERIGEE_POSTGRES_NODE_H
#define PERIGEE_POSTGRES_NODE_H
#include "postgres/link.h"

typedef struct postgres_node postgres_node_t;

typedef struct postgres_node_options {
    postgres_ground_t *ground;
    postgres_url_t *url;
    const char *role; /* in log lines */
    int links;        /* 1..LANES_MOST */
    bool replica;
    uint64_t connect_ms;
    void (*changed)(void *data); /* connected, or all is lost; may be NULL */
    void *data;
} postgres_node_options_t;

/* Starts to connect and goes on for ever, with pauses that double up to a second, jittered. NULL: no memory. */
postgres_node_t *postgres_node_new(const postgres_node_options_t *options);
/* Closes its links. What was sent ends with ERR_CLOSED, what waits with ERR_UNAVAILABLE, on a later turn. */
void postgres_node_delete(postgres_node_t *node);
/* Sends at the end of this turn, with all that this turn sends, on the link with the fewest in flight. While nothing is
   connected yet, or all links are stopping something, the query waits; when the last attempt to connect failed, it ends
   with ERR_UNAVAILABLE on a later turn. query->settle is called with what comes of it. */
void postgres_node_send(postgres_node_t *node, postgres_query_t *query);
bool postgres_node_up(const postgres_node_t *node);
/* The last attempt failed and nothing is connected. */
bool postgres_node_down(const postgres_node_t *node);
/* The sentence of that attempt. */
const char *postgres_node_fault(const postgres_node_t *node);

#endif
