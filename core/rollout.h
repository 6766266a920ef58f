/* rollout.h: brings an edition into all workers: scripts in two phases, a tenant's rules in one. */
#ifndef PERIGEE_ROLLOUT_H
#define PERIGEE_ROLLOUT_H
#include "base/list.h"
#include "change.h"
#include "shelf.h"
#include "slots.h"
#include "source.h"

#define ROLLOUT_MS 20000 /* a worker that has not answered by then fails the rollout */

typedef struct rollout rollout_t;
/* The end. err 0: every worker uses it. ERR_CLOSED: a worker died while it built, which may have another cause, so try
   again. Else error says why it was refused. `failed` workers of a committed edition have been doomed. */
typedef void (*rollout_cb)(
    void *data, const char *source, const shelf_mark_t *mark, int err, const char *error);

typedef struct rollouts {
    slots_t *slots;
    const shelf_t *shelf;
    list_t running;
    int64_t last_id;
    rollout_cb cb;
    void *data;
} rollouts_t;

void rollouts_create(
    rollouts_t *rollouts, slots_t *slots, const shelf_t *shelf, rollout_cb cb, void *data);
void rollouts_destroy(rollouts_t *rollouts);
/* The callback may come before this returns, when no worker is ready. At most one rollout of a source at a time. The
   change is copied; NULL when there is none to be noted. */
int rollout_start(
    rollouts_t *rollouts, const char *source, const shelf_mark_t *mark, const change_t *change);
/* Sends one edition to one worker, outside of any rollout. An `ok:false` for the id returned means it is useless. */
int64_t rollout_send(rollouts_t *rollouts, slot_t *slot, const char *source,
    const shelf_mark_t *mark, const change_t *change);
void rollouts_message(rollouts_t *rollouts, slot_t *slot, const message_t *message);
void rollouts_lost(rollouts_t *rollouts, slot_t *slot);
void rollouts_watch(const rollouts_t *rollouts, poller_t *poller);
void rollouts_tick(rollouts_t *rollouts, uint64_t now);

#endif
