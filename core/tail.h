/* tail.h: what tenants' scripts write with log(...), as lines of the server's log. */
#ifndef PERIGEE_TAIL_H
#define PERIGEE_TAIL_H
#include "base/bytes.h"

/* The shape of tenants_options_t's tail; data is not used. The sandbox has cut the line and limited their rate. */
void tail_write(void *data, span_t slug, span_t line);

#endif
