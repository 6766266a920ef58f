/* redis_cache.h: the cache role's hottest operations on Redis. */
#ifndef PERIGEE_REDIS_CACHE_H
#define PERIGEE_REDIS_CACHE_H
#include "base/cache_ops.h"
#include "redis/redis.h"

cache_ops_t redis_cache_ops(redis_t *redis);

#endif
