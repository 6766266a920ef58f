/* lint.h: which globals a script reads and writes, and where. */
#ifndef PERIGEE_TENANT_LINT_H
#define PERIGEE_TENANT_LINT_H
#include "base/bytes.h"

typedef struct lint_use {
    span_t name; /* alive during the callback */
    int line;
    bool write;
} lint_use_t;

/* Calls found(data, use) for each read or write of a global in text, in no order; the compiler itself says what is one,
   from the bytecode. Text that does not parse has none. Not for a worker: it compiles on the spot. 0 or
   ERR_NO_MEMORY. */
int lint_globals(span_t text, void (*found)(void *data, const lint_use_t *use), void *data);

#endif
