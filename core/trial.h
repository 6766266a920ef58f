/* trial.h: tries editions in a forked child with limits, so that no script can hurt the master. */
#ifndef PERIGEE_TRIAL_H
#define PERIGEE_TRIAL_H
#include <sys/types.h>
#include "config.h"
#include "line.h"
#include "poller.h"
#include "shelf.h"
#include "source.h"

typedef struct trial_result {
    const char *source;
    bool ok;
    shelf_mark_t mark; /* when ok: its file is on the shelf */
    const char
        *error; /* sentences with file and line, a line each: why not, or, when ok, the warnings */
} trial_result_t;
typedef void (*trial_cb)(void *data, const trial_result_t *result);

typedef struct trial trial_t;
/* Forks a child that reads, checks and shelves each source in turn; an edition that the shelf knows is not checked
   again. The names are copied; config and shelf stay alive. NULL when out of memory or processes. */
trial_t *trial_new(const config_t *config, const shelf_t *shelf, char (*sources)[SOURCE_MAX],
    size_t count, trial_cb cb, void *data);
/* Kills the child if it runs; the caller reaps it. */
void trial_delete(trial_t *trial);
pid_t trial_pid(const trial_t *trial);
void trial_watch(trial_t *trial, poller_t *poller);
/* Kills a child that makes no progress. */
void trial_tick(trial_t *trial, uint64_t now);
/* The child has ended with waitpid's status: the last results are handed over, the source that it died on is
   refused. What it had not reached is left to the caller: *rest and the number returned, alive until trial_delete. */
size_t trial_reaped(trial_t *trial, int status, char (**rest)[SOURCE_MAX]);

#endif
