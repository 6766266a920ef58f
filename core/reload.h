/* reload.h: takes an edit from the disk into every worker: mark, try, roll out, tell. */
#ifndef PERIGEE_RELOAD_H
#define PERIGEE_RELOAD_H
#include "rollout.h"
#include "trial.h"

#define RELOAD_QUIET_MS 20 /* editors write in several steps */
#define RELOAD_TRIALS                                                                              \
    4 /* children at a time, so that a slow edition does not hold up the others for long */
#define RELOAD_BATCH 256

typedef struct entry entry_t;
typedef struct reload {
    const config_t *config;
    shelf_t *shelf;
    slots_t *slots;
    rollouts_t rollouts;
    map_t entries; /* source → entry_t */
    trial_t *trials[RELOAD_TRIALS];
    uint64_t generation;
    bool primed; /* the first look is done: workers may be given their editions */
} reload_t;

void reload_create(reload_t *reload, const config_t *config, shelf_t *shelf, slots_t *slots);
void reload_destroy(reload_t *reload);
/* A source_cb: the source (NULL: every one) may have changed; it is looked at once it has been quiet. */
void reload_mark(void *reload, const char *source);
/* Looks at everything now. The generation returned is settled when all that was found is live or refused. */
uint64_t reload_all(reload_t *reload);
bool reload_settled(const reload_t *reload, uint64_t generation);
/* The slot's worker has stored the tenant's document, or refused it: error (copied) says why then; else it is NULL. */
void reload_stored(reload_t *reload, const slot_t *slot, const char *tenant, const char *error);
/* The slot's worker has ended: nothing is waited for from it. */
void reload_lost(reload_t *reload, slot_t *slot);
/* Whether the workers have yet to say, of some edition that all have, if the tenant's document is stored. */
bool reload_storing(const reload_t *reload);
/* Appends a JSON list of what that generation changed and of what stands refused: {"source","ok","hash" or "error"}.
   The source of a document that is not stored ends in /tenant.json. */
void reload_report(const reload_t *reload, uint64_t generation, buf_t *out);
/* Why the scripts cannot serve, or NULL: for the start, which is in vain then. */
const char *reload_scripts_error(const reload_t *reload);
/* Gives a worker that has just been started all current editions, rules first and the scripts last. */
void reload_prime(reload_t *reload, slot_t *slot);
void reload_watch(reload_t *reload, poller_t *poller);
void reload_tick(reload_t *reload, uint64_t now);
/* Whether the process was a trial. */
bool reload_reaped(reload_t *reload, pid_t pid, int status);

#endif
