/* changes.h: the swaps of rules that a worker has seen and that no script has noted yet. */
#ifndef PERIGEE_CHANGES_H
#define PERIGEE_CHANGES_H
#include "base/list.h"
#include <stddef.h>

#define CHANGES_MOST 10000

typedef struct swapped {
    list_t node;
    char id[37], tenant[128], before[65], after[65]; /* before is "" for a new shop */
} swapped_t;

typedef struct changes {
    list_t all; /* oldest first */
    size_t count;
} changes_t;

void changes_create(changes_t *changes);
void changes_destroy(changes_t *changes);
/* Remembers one; the same id again is the same one. Beyond CHANGES_MOST it is only logged. */
void changes_add(
    changes_t *changes, const char *tenant, const char *id, const char *before, const char *after);
/* It has been noted: forgotten here. Nothing happens for an id that is not there. */
void changes_done(changes_t *changes, const char *id);

#endif
