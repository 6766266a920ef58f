/* sqlite_gate.h: the gate's reads and its rate limit in the embedded cache file. */
#ifndef PERIGEE_SQLITE_GATE_H
#define PERIGEE_SQLITE_GATE_H
#include "base/cache_ops.h"
#include "sqlite/db.h"

/* cache_ops_t's gate and gate_cancel; the engine is the cache role's db_t, whose tables
   scripts/stores/cache/sqlite_tables.lua makes. One transaction: exact for every process on the file. */
int sqlite_gate(void *db, cache_gate_t *gate);
void sqlite_gate_cancel(cache_gate_t *gate);

#endif
