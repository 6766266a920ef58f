/* redis_cache.c: the table of the cache role's operations on Redis. */
#include "redis/redis_cache.h"
#include "redis/command.h"
#include "redis/redis_cart.h"
#include "redis/redis_gate.h"

cache_ops_t redis_cache_ops(redis_t *redis) {
    return (cache_ops_t){.engine = redis,
        .wait_ms = redis->options.command_ms,
        .gate = redis_gate,
        .gate_cancel = redis_gate_cancel,
        .cart_load = redis_cart_load,
        .cart_load_cancel = redis_cart_load_cancel,
        .cart_save = redis_cart_save,
        .cart_save_cancel = redis_cart_save_cancel};
}
