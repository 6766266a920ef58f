/* sweep.h: finds edits by looking at every file's time and size, where inotify does not see them. */
#ifndef PERIGEE_SWEEP_H
#define PERIGEE_SWEEP_H
#include "source.h"

#define SWEEP_MS 2000

typedef struct sweep sweep_t;

/* Looks once and remembers. NULL when out of memory. The folders' names must stay alive. */
sweep_t *sweep_new(const char *scripts, const char *tenants, source_cb cb, void *data);
void sweep_delete(sweep_t *sweep);
/* Looks again and calls cb for each source that is new, has changed or is gone. Blocks on the folders: on a network
   mount that hangs, the caller hangs with it. */
void sweep_run(sweep_t *sweep);

#endif
