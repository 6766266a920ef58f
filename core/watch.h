/* watch.h: notices edits below the scripts and tenants folders with inotify. */
#ifndef PERIGEE_WATCH_H
#define PERIGEE_WATCH_H
#include "source.h"

typedef struct watch watch_t;

/* Watches both folders and all below them. NULL when out of memory. When inotify cannot see everything (symbolic links,
   network mounts, no descriptors left, a folder that is not there) watch_blind says so. */
watch_t *watch_new(const char *scripts, const char *tenants, source_cb cb, void *data);
void watch_delete(watch_t *watch);
/* What to poll for reading; -1 when there is no inotify at all. */
int watch_fd(const watch_t *watch);
/* Reads what has happened and calls cb for each source it touches, perhaps several times. */
void watch_read(watch_t *watch);
/* Whether a sweep is needed beside it. Stays true once it is. */
bool watch_blind(const watch_t *watch);

#endif
