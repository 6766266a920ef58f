/* sqlite_gate.h: the gate's reads and its rate limit in the embedded cache file. */
#ifndef PERIGEE_SQLITE_GATE_H
#define PERIGEE_SQLITE_GATE_H
#include "base/cache_ops.h"

/* cache_ops_t's gate and gate_cancel; the engine is a sqlite_t. One transaction. */
int sqlite_gate(void *engine, cache_gate_t *gate);
void sqlite_gate_cancel(cache_gate_t *gate);

#endif
