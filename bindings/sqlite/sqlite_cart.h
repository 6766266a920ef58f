/* sqlite_cart.h: a cart's fields in the embedded cache file: read whole, changed in one transaction. */
#ifndef PERIGEE_SQLITE_CART_H
#define PERIGEE_SQLITE_CART_H
#include "base/cache_ops.h"

/* cache_ops_t's cart functions; the engine is a sqlite_t. */
int sqlite_cart_load(void *engine, cache_cart_load_t *load);
void sqlite_cart_load_cancel(cache_cart_load_t *load);
int sqlite_cart_save(void *engine, cache_cart_save_t *save);
void sqlite_cart_save_cancel(cache_cart_save_t *save);

#endif
