/* shares.h: whose turn it is when several tenants want connections: the one that has the fewest. */
#ifndef PERIGEE_BASE_SHARES_H
#define PERIGEE_BASE_SHARES_H
#include "base/list.h"
#include "base/map.h"

typedef struct shares {
    map_t tenants; /* of those that hold or wait */
    list_t ring;   /* of those that wait, the one served last at the end */
    int most;      /* held by one tenant at a time */
    size_t waiting;
} shares_t;

void shares_create(shares_t *shares, int most);
/* Frees what is left; nobody may wait any more. */
void shares_destroy(shares_t *shares);
/* The node, of somebody who wants a connection, waits for its tenant's turn; ERR_NO_MEMORY. */
int shares_wait(shares_t *shares, span_t tenant, list_t *node);
/* Whose turn it is, still waiting; NULL: nobody's, or only tenants wait that have all they may have. */
list_t *shares_next(shares_t *shares);
/* The node waits no more; held: its tenant has one connection more now. */
void shares_leave(shares_t *shares, span_t tenant, list_t *node, bool held);
/* One connection less. */
void shares_return(shares_t *shares, span_t tenant);

#endif
