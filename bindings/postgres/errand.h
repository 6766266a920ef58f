/* errand.h: a slow query on a lease of its own, so that nothing waits behind it. */
#ifndef PERIGEE_POSTGRES_ERRAND_H
#define PERIGEE_POSTGRES_ERRAND_H
#include "postgres/query.h"

/* Sends a query that has begun; the lease goes with its end. 0, or what postgres_lease returns. */
int postgres_errand_start(postgres_query_t *query);

#endif
