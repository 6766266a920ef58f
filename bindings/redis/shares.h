/* shares.h: whose turn it is when several tenants want connections: the one that has the fewest. */
#ifndef PERIGEE_REDIS_SHARES_H
#define PERIGEE_REDIS_SHARES_H
#include "base/map.h"
#include "redis/redis.h"

typedef struct redis_shares {
    map_t tenants; /* of those that hold or wait */
    list_t ring;   /* of those that wait, the one served last at the end */
    int most;      /* held by one tenant at a time */
    size_t waiting;
} redis_shares_t;

void redis_shares_create(redis_shares_t *shares, int most);
/* Frees what is left; nobody may wait any more. */
void redis_shares_destroy(redis_shares_t *shares);
/* The lease waits for its tenant's turn; ERR_NO_MEMORY. */
int redis_shares_wait(redis_shares_t *shares, redis_lease_t *lease);
/* Whose turn it is, still waiting; NULL: nobody's, or only tenants wait that have all they may have. */
redis_lease_t *redis_shares_next(redis_shares_t *shares);
/* The lease waits no more; held: its tenant has one connection more now. */
void redis_shares_leave(redis_shares_t *shares, redis_lease_t *lease, bool held);
/* One connection less. */
void redis_shares_return(redis_shares_t *shares, span_t tenant);

#endif
