/* redis_gate.h: the gate's reads and its rate limit on Redis. */
#ifndef PERIGEE_REDIS_GATE_H
#define PERIGEE_REDIS_GATE_H
#include "base/cache_ops.h"
#include "redis/redis.h"

/* cache_ops_t's gate and gate_cancel; the engine is a redis_t. One write, one round trip; on a Cluster one per node,
   side by side. */
int redis_gate(void *redis, cache_gate_t *gate);
void redis_gate_cancel(cache_gate_t *gate);

#endif
