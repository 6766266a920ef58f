/* redis_cart.h: a cart's hash on Redis: read whole, changed in one step by compare and swap. */
#ifndef PERIGEE_REDIS_CART_H
#define PERIGEE_REDIS_CART_H
#include "base/cache_ops.h"
#include "redis/redis.h"

/* cache_ops_t's cart functions; the engine is a redis_t. */
int redis_cart_load(void *redis, cache_cart_load_t *load);
void redis_cart_load_cancel(cache_cart_load_t *load);
int redis_cart_save(void *redis, cache_cart_save_t *save);
void redis_cart_save_cancel(cache_cart_save_t *save);

#endif
