/* refuse.h: which commands a connection takes, and which leave something open on it. */
#ifndef PERIGEE_REDIS_REFUSE_H
#define PERIGEE_REDIS_REFUSE_H
#include "base/bytes.h"

typedef enum {
    REDIS_PLAIN,
    REDIS_DRIVERS, /* changes what the driver relies on: refused everywhere */
    REDIS_OWN,     /* blocks, or leaves a state behind: needs a connection of its own */
    REDIS_WATCH, /* of its own, too, and these open and close what a returned connection must not have open */
    REDIS_UNWATCH,
    REDIS_MULTI,
    REDIS_EXEC /* or DISCARD */
} redis_nature_t;

redis_nature_t redis_nature(const span_t *argv, int argc);

#endif
