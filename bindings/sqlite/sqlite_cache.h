/* sqlite_cache.h: the cache role's hottest operations on the embedded engine. */
#ifndef PERIGEE_SQLITE_CACHE_H
#define PERIGEE_SQLITE_CACHE_H
#include "base/cache_ops.h"
#include "sqlite/engine.h"

/* Works on the file cache.db, whose tables scripts/stores/cache/sqlite_tables.lua makes. Exact for every process that
   shares the file. */
cache_ops_t sqlite_cache_ops(sqlite_t *engine);

#endif
