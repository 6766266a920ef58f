/* rollout.c: asks every ready worker to build an edition, and lets all of them swap or none. */
#include "rollout.h"
#include <stdlib.h>
#include "base/err.h"
#include "base/log.h"

/* BUILD: scripts are built beside. SWAP: scripts are committed, or a tenant's tried rules are taken. */
typedef enum { PHASE_BUILD, PHASE_SWAP } phase_t;

struct rollout {
    list_t node;
    int64_t id;
    phase_t phase;
    char source[SOURCE_MAX];
    shelf_mark_t mark;
    change_t change;
    bool member[SLOTS_MAX]; /* asked to build */
    bool waits[SLOTS_MAX];  /* has not answered this phase */
    uint64_t until_ms;
    int err;
    char error[1024];
};

static bool is_scripts(const rollout_t *rollout) {
    return source_slug(rollout->source) == NULL;
}

void rollouts_create(
    rollouts_t *rollouts, slots_t *slots, const shelf_t *shelf, rollout_cb cb, void *data) {
    *rollouts = (rollouts_t){.slots = slots, .shelf = shelf, .cb = cb, .data = data};
    list_init(&rollouts->running);
}

void rollouts_destroy(rollouts_t *rollouts) {
    for (list_t *node; (node = list_shift(&rollouts->running));) {
        free(LIST_OWNER(node, rollout_t, node));
    }
}

static void tell(
    const rollouts_t *rollouts, slot_t *slot, const rollout_t *rollout, const char *verb) {
    char path[SHELF_PATH_MAX];
    bool bare = strcmp(verb, "commit") == 0 || strcmp(verb, "drop") == 0;
    shelf_path(rollouts->shelf, rollout->source, rollout->mark.key, path);
    message_t message = {.verb = verb, .id = rollout->id, .fd = -1};
    if (!bare) {
        message.path = path;
        message.hash = rollout->mark.hash;
        message.tenant = source_slug(rollout->source);
    }
    if (!bare && rollout->change.id[0]) {
        message.change = rollout->change.id;
        message.before = rollout->change.before;
    }
    if (strcmp(verb, "scripts") == 0) slot->building = rollout->id;
    slot_send(slot, &message);
}

static bool has_waiting(const rollout_t *rollout) {
    for (int i = 0; i < SLOTS_MAX; i++) {
        if (rollout->waits[i]) return true;
    }
    return false;
}

/* Takes it out of the list first: the callback may start the next rollout of the source. */
static void finish(rollouts_t *rollouts, rollout_t *rollout) {
    list_remove(&rollout->node);
    rollouts->cb(rollouts->data, rollout->source, &rollout->mark, rollout->err, rollout->error);
    free(rollout);
}

static void drop(rollouts_t *rollouts, rollout_t *rollout) {
    for (int i = 0; i < rollouts->slots->count; i++) {
        slot_t *slot = &rollouts->slots->all[i];
        if (!rollout->member[i]) continue;
        if (slot->building == rollout->id)
            slot->building = 0; /* a late "built" must not commit it */
        tell(rollouts, slot, rollout, "drop");
    }
    finish(rollouts, rollout);
}

/* Workers that started while the others were building have been given the edition before: they build this one now, and
   commit it when they have. There is no way back from here: a worker that cannot follow is replaced. */
static void commit(rollouts_t *rollouts, rollout_t *rollout) {
    rollout->phase = PHASE_SWAP;
    rollout->until_ms = poller_now() + ROLLOUT_MS;
    for (int i = 0; i < rollouts->slots->count; i++) {
        slot_t *slot = &rollouts->slots->all[i];
        if (slot->state != SLOT_READY && !(slot->state == SLOT_STARTING && slot->primed)) continue;
        rollout->waits[i] = slot->state == SLOT_READY;
        tell(rollouts, slot, rollout, rollout->member[i] ? "commit" : "scripts");
    }
}

static void advance(rollouts_t *rollouts, rollout_t *rollout) {
    if (has_waiting(rollout)) return;
    if (rollout->phase == PHASE_BUILD && rollout->err) {
        drop(rollouts, rollout);
        return;
    }
    if (rollout->phase == PHASE_BUILD) commit(rollouts, rollout);
    if (!has_waiting(rollout)) finish(rollouts, rollout);
}

static void fail(rollout_t *rollout, int err, const char *error) {
    if (rollout->err && rollout->err != ERR_CLOSED) return;
    rollout->err = err;
    snprintf(rollout->error, sizeof(rollout->error), "%s", error);
}

int rollout_start(
    rollouts_t *rollouts, const char *source, const shelf_mark_t *mark, const change_t *change) {
    rollout_t *rollout = calloc(1, sizeof(*rollout));
    if (!rollout) return ERR_NO_MEMORY;
    snprintf(rollout->source, sizeof(rollout->source), "%s", source);
    rollout->mark = *mark;
    if (change) rollout->change = *change;
    rollout->id = ++rollouts->last_id;
    rollout->phase = is_scripts(rollout) ? PHASE_BUILD : PHASE_SWAP;
    rollout->until_ms = poller_now() + ROLLOUT_MS;
    list_push(&rollouts->running, &rollout->node);
    for (int i = 0; i < rollouts->slots->count; i++) {
        slot_t *slot = &rollouts->slots->all[i];
        bool early = slot->state == SLOT_STARTING && slot->primed && !is_scripts(rollout);
        if (slot->state != SLOT_READY && !early) continue;
        rollout->member[i] = true;
        rollout->waits[i] = slot->state == SLOT_READY;
        tell(rollouts, slot, rollout, is_scripts(rollout) ? "scripts" : "rules");
    }
    advance(rollouts, rollout);
    return 0;
}

int64_t rollout_send(rollouts_t *rollouts, slot_t *slot, const char *source,
    const shelf_mark_t *mark, const change_t *change) {
    rollout_t once = {.id = ++rollouts->last_id, .mark = *mark};
    if (change) once.change = *change;
    snprintf(once.source, sizeof(once.source), "%s", source);
    tell(rollouts, slot, &once, is_scripts(&once) ? "scripts" : "rules");
    return once.id;
}

static rollout_t *find(rollouts_t *rollouts, int64_t id) {
    for (list_t *node = rollouts->running.next; node != &rollouts->running; node = node->next) {
        rollout_t *rollout = LIST_OWNER(node, rollout_t, node);
        if (rollout->id == id) return rollout;
    }
    return NULL;
}

static bool answers_phase(const rollout_t *rollout, const message_t *message) {
    const char *verb = rollout->phase == PHASE_BUILD ? "scripts"
                       : is_scripts(rollout)         ? "commit"
                                                     : "rules";
    return strcmp(message->verb, verb) == 0;
}

/* It could not take what the others have: its replacement will start with it. */
static void refuse(slot_t *slot, const message_t *message) {
    if (strcmp(message->verb, "drop") == 0) return;
    buf_t *line = log_begin(LOG_ERROR, "edition_not_taken");
    if (line) {
        buf_printf(line, ",\"slot\":%d,\"error\":", slot->index);
        buf_json(line, span_of(message->error ? message->error : ""));
        log_end();
    }
    slot_doom(slot, "worker_refused_edition");
}

/* It has built outside of a rollout's first phase. If it has been told to build something newer, that one counts. */
static void commit_late(slot_t *slot, int64_t id) {
    message_t message = {.verb = "commit", .id = id, .fd = -1};
    if (id == slot->building) slot_send(slot, &message);
}

void rollouts_message(rollouts_t *rollouts, slot_t *slot, const message_t *message) {
    rollout_t *rollout = find(rollouts, message->id);
    bool waited = rollout && rollout->waits[slot->index] && answers_phase(rollout, message);
    if (!message->ok && !(waited && rollout->phase == PHASE_BUILD)) {
        refuse(slot, message);
    } else if (!waited && strcmp(message->verb, "scripts") == 0) {
        commit_late(slot, message->id);
    } else if (waited) {
        rollout->waits[slot->index] = false;
        if (!message->ok) {
            fail(rollout, ERR_UNPROCESSABLE, message->error ? message->error : "refused");
        }
        advance(rollouts, rollout);
    }
}

/* Walks by hand, because a rollout may end, and its callback start another, at each step. */
static void for_each(
    rollouts_t *rollouts, void (*visit)(rollouts_t *, rollout_t *, void *), void *data) {
    list_t todo;
    list_init(&todo);
    list_splice(&todo, &rollouts->running);
    for (list_t *node; (node = list_shift(&todo));) {
        list_push(&rollouts->running, node);
        visit(rollouts, LIST_OWNER(node, rollout_t, node), data);
    }
}

static void lose(rollouts_t *rollouts, rollout_t *rollout, void *data) {
    int index = *(int *)data;
    rollout->member[index] = false;
    if (!rollout->waits[index]) return;
    rollout->waits[index] = false;
    if (rollout->phase == PHASE_BUILD)
        fail(rollout, ERR_CLOSED, "a worker died while it built them");
    advance(rollouts, rollout);
}

void rollouts_lost(rollouts_t *rollouts, slot_t *slot) {
    int index = slot->index;
    for_each(rollouts, lose, &index);
}

void rollouts_watch(const rollouts_t *rollouts, poller_t *poller) {
    for (list_t *node = rollouts->running.next; node != &rollouts->running; node = node->next) {
        poller_wake(poller, LIST_OWNER(node, rollout_t, node)->until_ms);
    }
}

static void expire(rollouts_t *rollouts, rollout_t *rollout, void *data) {
    if (*(uint64_t *)data < rollout->until_ms) return;
    if (rollout->phase == PHASE_BUILD) {
        memset(rollout->waits, 0, sizeof(rollout->waits));
        fail(rollout, ERR_TIMEOUT, "a worker did not build them in time");
        advance(rollouts, rollout);
        return;
    }
    /* It ends when the last of them has been reaped. */
    rollout->until_ms = UINT64_MAX;
    for (int i = 0; i < rollouts->slots->count; i++) {
        if (rollout->waits[i]) slot_doom(&rollouts->slots->all[i], "worker_refused_edition");
    }
}

void rollouts_tick(rollouts_t *rollouts, uint64_t now) {
    for_each(rollouts, expire, &now);
}
