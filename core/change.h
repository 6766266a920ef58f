/* change.h: one swap of a shop's rules, as the audit must know it: made by the master, sent to every worker. */
#ifndef PERIGEE_CHANGE_H
#define PERIGEE_CHANGE_H
#include <stdint.h>

/* The id is the same for every worker that sees the swap, for every server on the same folders, and after a crash in
   between: so that whoever notes it, it is noted once. */
typedef struct change {
    char id[37];                /* a UUID; empty when there is nothing to note */
    char before[65], after[65]; /* editions; before is empty for a new shop */
    uint64_t at_ms;             /* poller's clock */
} change_t;

/* Of the folder tenants/slug, from one edition to another; blocks. The same edition again is no change. */
void change_make(
    change_t *change, const char *tenants, const char *slug, const char *before, const char *after);

#endif
