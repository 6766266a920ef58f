/* tzif.h: the transitions of a compiled time zone file (RFC 8536). */
#ifndef PERIGEE_BASE_TZIF_H
#define PERIGEE_BASE_TZIF_H
#include "base/bytes.h"

typedef struct tzif {
    int64_t *times;   /* seconds since 1970, ascending */
    int32_t *offsets; /* seconds east of UTC from times[i] on */
    size_t count;
    int32_t first; /* the offset before times[0] */
} tzif_t;

/* Fills *out from a file's bytes and points *footer at its rule for later times (empty when there is none).
   ERR_INVALID, ERR_NO_MEMORY. Call tzif_destroy also after an error. */
int tzif_parse(span_t file, tzif_t *out, span_t *footer);
void tzif_destroy(tzif_t *tzif);
/* The offset at a time; true when the time lies at or behind the last transition, where a rule takes over. */
bool tzif_offset(const tzif_t *tzif, int64_t seconds, int *offset);

#endif
