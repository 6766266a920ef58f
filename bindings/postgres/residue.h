/* residue.h: whether a statement leaves something behind in its session through a function that it calls. */
#ifndef PERIGEE_POSTGRES_RESIDUE_H
#define PERIGEE_POSTGRES_RESIDUE_H
#include <stdbool.h>

/* Whether the text itself calls pg_advisory_lock or its like, or set_config without a literal `true` at the end. What
   functions and DO do inside is not seen. */
bool postgres_leaves_residue(const char *sql);

#endif
