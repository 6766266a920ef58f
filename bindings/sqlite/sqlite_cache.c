/* sqlite_cache.c: the table of the cache role's operations on the embedded engine. */
#include "sqlite/sqlite_cache.h"
#include "sqlite/sqlite_cart.h"
#include "sqlite/sqlite_gate.h"

cache_ops_t sqlite_cache_ops(sqlite_t *engine) {
    return (cache_ops_t){.engine = engine,
        .wait_ms = sqlite_wait_ms(engine),
        .gate = sqlite_gate,
        .gate_cancel = sqlite_gate_cancel,
        .cart_load = sqlite_cart_load,
        .cart_load_cancel = sqlite_cart_load_cancel,
        .cart_save = sqlite_cart_save,
        .cart_save_cancel = sqlite_cart_save_cancel};
}
