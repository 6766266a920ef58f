/* reload.c: the state of every source, and the steps from an edit to the live edition. */
#include "reload.h"
#include <stdlib.h>
#include <unistd.h>
#include "base/err.h"
#include "base/log.h"

#define LOST_MAX                                                                                   \
    3 /* times that workers may die under a rollout before it counts as the scripts' fault */

#define CHANGE_MS 600000
#define STORE_MS                                                                                   \
    10000 /* how long `perigee reload --wait` waits for the word of a tenant's document */

/* IDLE: as on disk, or refused. MARKED: to be looked at at due_ms. TRYING: in a trial. ROLLING: on its way to the
   workers. */
typedef enum { STATE_IDLE, STATE_MARKED, STATE_TRYING, STATE_ROLLING } state_t;

struct entry {
    char source[SOURCE_MAX];
    state_t state;
    bool again; /* marked while it was being tried or rolled out */
    uint64_t due_ms;
    shelf_mark_t live; /* what workers are given; an empty key for none */
    change_t change;   /* the last one of its rules */
    uint64_t asked;    /* the generation that last asked for it */
    uint64_t settled;  /* the last generation whose question is answered */
    uint64_t changed;  /* the generation in which it last changed */
    int lost;
    bool gone;           /* its folder is; what it had keeps serving */
    char *error;         /* why the latest edition was refused; NULL when it was not */
    char *held;          /* why the workers did not store its tenant.json; NULL when they did */
    uint64_t storing;    /* the slots whose word of it is waited for, a bit each, */
    uint64_t storing_ms; /* and until when */
};

static entry_t *find(const reload_t *reload, const char *source) {
    return map_get(&reload->entries, span_of(source));
}

static entry_t *entry_of(reload_t *reload, const char *source) {
    entry_t *entry = find(reload, source);
    if (entry) return entry;
    entry = calloc(1, sizeof(*entry));
    if (!entry) return NULL;
    snprintf(entry->source, sizeof(entry->source), "%s", source);
    if (map_set(&reload->entries, span_of(source), entry, NULL) == 0) return entry;
    free(entry);
    return NULL;
}

static bool next(const reload_t *reload, size_t *at, entry_t **entry) {
    span_t source;
    void *found;
    if (!map_next(&reload->entries, at, &source, &found)) return false;
    *entry = found;
    return true;
}

static void mark(entry_t *entry, uint64_t due_ms) {
    if (entry->state == STATE_TRYING || entry->state == STATE_ROLLING)
        entry->again = true;
    else
        entry->state = STATE_MARKED;
    entry->due_ms = due_ms;
}

typedef struct listing {
    reload_t *reload;
    uint64_t due_ms;
} listing_t;

static void mark_one(void *data, const char *source) {
    listing_t *listing = data;
    entry_t *entry = entry_of(listing->reload, source);
    if (entry) mark(entry, listing->due_ms);
}

/* What is on disk, and what was: a folder that is gone is worth a word. */
static void mark_all(reload_t *reload, uint64_t due_ms, bool scripts) {
    listing_t listing = {reload, due_ms};
    if (scripts) mark_one(&listing, SOURCE_SCRIPTS);
    source_list(reload->config->tenants, mark_one, &listing);
    size_t at = 0;
    entry_t *entry;
    while (next(reload, &at, &entry)) {
        if (scripts || source_slug(entry->source)) mark(entry, due_ms);
    }
}

void reload_mark(void *data, const char *source) {
    reload_t *reload = data;
    uint64_t due_ms = poller_now() + RELOAD_QUIET_MS;
    if (!source)
        mark_all(reload, due_ms, true);
    else if (strcmp(source, SOURCE_DEFAULT) == 0)
        mark_all(reload, due_ms, false);
    else
        mark_one(&(listing_t){reload, due_ms}, source);
}

uint64_t reload_all(reload_t *reload) {
    reload->generation++;
    mark_all(reload, poller_now(), true);
    size_t at = 0;
    entry_t *entry;
    while (next(reload, &at, &entry)) {
        entry->asked = reload->generation;
    }
    return reload->generation;
}

bool reload_settled(const reload_t *reload, uint64_t generation) {
    size_t at = 0;
    entry_t *entry;
    while (next(reload, &at, &entry)) {
        if (entry->asked >= generation && entry->settled < generation) return false;
    }
    return true;
}

static uint64_t bit_of(const slot_t *slot) {
    return UINT64_C(1) << slot->index;
}

bool reload_storing(const reload_t *reload) {
    size_t at = 0;
    entry_t *entry;
    uint64_t now = poller_now();
    while (next(reload, &at, &entry)) {
        if (entry->storing && entry->storing_ms > now) return true;
    }
    return false;
}

static void hold(entry_t *entry, const char *why) {
    free(entry->held);
    entry->held = why ? strdup(why) : NULL;
}

void reload_stored(reload_t *reload, const slot_t *slot, const char *tenant, const char *error) {
    char source[SOURCE_MAX];
    entry_t *entry = source_of_path(tenant, source) ? find(reload, source) : NULL;
    if (!entry || entry->gone) return;
    hold(entry, error);
    entry->storing &= ~bit_of(slot);
}

void reload_lost(reload_t *reload, slot_t *slot) {
    size_t at = 0;
    entry_t *entry;
    while (next(reload, &at, &entry)) {
        entry->storing &= ~bit_of(slot);
    }
    rollouts_lost(&reload->rollouts, slot);
}

static void report_one(
    buf_t *out, const char *source, const char *file, const char *error, const char *hash) {
    if (out->ptr[out->len - 1] != '[') buf_char(out, ',');
    buf_printf(out, "{\"source\":\"%s%s\",\"ok\":%s,", source, file, error ? "false" : "true");
    buf_text(out, error ? "\"error\":" : "\"hash\":");
    buf_json(out, span_of(error ? error : hash));
    buf_char(out, '}');
}

void reload_report(const reload_t *reload, uint64_t generation, buf_t *out) {
    size_t at = 0;
    entry_t *entry;
    buf_char(out, '[');
    while (!out->failed && next(reload, &at, &entry)) {
        if (entry->error || entry->changed >= generation)
            report_one(out, entry->source, "", entry->error, entry->live.hash);
        if (entry->held && !out->failed)
            report_one(out, entry->source, "/tenant.json", entry->held, NULL);
    }
    buf_char(out, ']');
}

const char *reload_scripts_error(const reload_t *reload) {
    entry_t *entry = find(reload, SOURCE_SCRIPTS);
    return entry && !entry->live.key[0] ? entry->error : NULL;
}

static void say(log_level_t level, const char *event, const entry_t *entry, const char *name,
    const char *text) {
    buf_t *line = log_begin(level, event);
    if (!line) return;
    buf_printf(line, ",\"source\":\"%s\",\"%s\":", entry->source, name);
    buf_json(line, span_of(text));
    log_end();
}

/* The road's end for this edit, whichever way it went. */
static void settle(entry_t *entry) {
    entry->state = STATE_IDLE;
    entry->lost = 0;
    if (entry->again) {
        entry->again = false;
        entry->state = STATE_MARKED;
    } else {
        entry->settled = entry->asked;
    }
}

static void forgive(entry_t *entry) {
    free(entry->error);
    entry->error = NULL;
}

static void refuse(entry_t *entry, const char *error) {
    bool news = !entry->error || strcmp(entry->error, error) != 0;
    forgive(entry);
    entry->error = strdup(error);
    if (news) say(LOG_ERROR, "edition_refused", entry, "error", error);
    settle(entry);
}

static void on_rolled_out(
    void *data, const char *source, const shelf_mark_t *mark_, int err, const char *error) {
    reload_t *reload = data;
    entry_t *entry = find(reload, source);
    if (err == ERR_CLOSED && ++entry->lost < LOST_MAX) {
        entry->state = STATE_MARKED;
        entry->due_ms = poller_now() + RELOAD_QUIET_MS;
        return;
    }
    if (err) {
        refuse(entry, error);
        return;
    }
    entry->live = *mark_;
    entry->changed = reload->generation;
    shelf_pass(reload->shelf, source, mark_);
    forgive(entry);
    say(LOG_INFO, "edition_live", entry, "hash", mark_->hash);
    entry->storing_ms = poller_now() + STORE_MS;
    settle(entry);
}

/* A worker may die before it has noted a change: the next one gets it too, for a while. */
static const change_t *recent_change(const entry_t *entry) {
    const change_t *change = &entry->change;
    bool live = strcmp(change->after, entry->live.hash) == 0;
    return live && change->id[0] && poller_now() - change->at_ms < CHANGE_MS ? change : NULL;
}

/* At the start the shelf knows what served last; where it does not, nothing is known to have changed. */
static void note_change(reload_t *reload, entry_t *entry, const shelf_mark_t *mark_) {
    const char *slug = source_slug(entry->source);
    const shelf_mark_t *last = shelf_get(reload->shelf, entry->source);
    if (!slug || (!reload->primed && !last)) return;
    const char *before = entry->live.key[0] ? entry->live.hash : last ? last->hash : "";
    if (strcmp(before, mark_->hash) == 0) return;
    change_make(&entry->change, reload->config->tenants, slug, before, mark_->hash);
}

/* Each worker stores the document once it has the rules, and says then what became of it. */
static void await_stored(const reload_t *reload, entry_t *entry) {
    hold(entry, NULL);
    entry->storing = 0;
    for (int i = 0; source_slug(entry->source) && i < reload->slots->count; i++) {
        const slot_t *slot = &reload->slots->all[i];
        if (slot->state == SLOT_READY) entry->storing |= bit_of(slot);
    }
}

static void roll_out(reload_t *reload, entry_t *entry, const shelf_mark_t *mark_) {
    note_change(reload, entry, mark_);
    await_stored(reload, entry);
    entry->state = STATE_ROLLING;
    /* Tried rules are what a worker that starts meanwhile must be given; scripts only once the others have built
       them. */
    if (source_slug(entry->source)) entry->live = *mark_;
    if (rollout_start(&reload->rollouts, entry->source, mark_, recent_change(entry)) != 0) {
        refuse(entry, "out of memory");
    }
}

/* At the start a broken folder must not leave a shop without rules: the edition that passed last serves on. */
static void fall_back(reload_t *reload, entry_t *entry) {
    char path[SHELF_PATH_MAX];
    const shelf_mark_t *last = shelf_get(reload->shelf, entry->source);
    if (!last || !source_slug(entry->source) || entry->live.key[0]) return;
    shelf_path(reload->shelf, entry->source, last->key, path);
    if (access(path, R_OK) != 0) return;
    entry->live = *last;
    say(LOG_WARN, "last_good_edition_serves", entry, "hash", last->hash);
}

/* What stood against a refused document may be gone since: one worker tries it again. */
static void store_again(reload_t *reload, entry_t *entry) {
    for (int i = 0; entry->held && i < reload->slots->count; i++) {
        slot_t *slot = &reload->slots->all[i];
        if (slot->state != SLOT_READY) continue;
        message_t message = {.verb = "settings", .tenant = source_slug(entry->source), .fd = -1};
        if (slot_send(slot, &message) != 0) continue;
        entry->storing = bit_of(slot);
        entry->storing_ms = poller_now() + STORE_MS;
        return;
    }
}

static void on_tried(void *data, const trial_result_t *result) {
    reload_t *reload = data;
    entry_t *entry = find(reload, result->source);
    if (result->ok && *result->error)
        say(LOG_WARN, "edition_warned", entry, "warnings", result->error);
    if (!result->ok) {
        if (!reload->primed) fall_back(reload, entry);
        refuse(entry, result->error);
    } else if (strcmp(result->mark.key, entry->live.key) == 0) {
        forgive(entry);
        store_again(reload, entry);
        settle(entry);
    } else {
        roll_out(reload, entry, &result->mark);
    }
}

void reload_create(reload_t *reload, const config_t *config, shelf_t *shelf, slots_t *slots) {
    *reload = (reload_t){.config = config, .shelf = shelf, .slots = slots};
    map_create(&reload->entries);
    rollouts_create(&reload->rollouts, slots, shelf, on_rolled_out, reload);
}

void reload_destroy(reload_t *reload) {
    for (size_t i = 0; i < RELOAD_TRIALS; i++) {
        if (reload->trials[i]) trial_delete(reload->trials[i]);
    }
    rollouts_destroy(&reload->rollouts);
    size_t at = 0;
    entry_t *entry;
    while (next(reload, &at, &entry)) {
        free(entry->error);
        free(entry->held);
        free(entry);
    }
    map_destroy(&reload->entries);
}

static bool has_live(const entry_t *entry) {
    return entry->live.key[0] != '\0';
}

void reload_prime(reload_t *reload, slot_t *slot) {
    entry_t *scripts = find(reload, SOURCE_SCRIPTS), *entry;
    if (!reload->primed || slot->primed || !scripts || !has_live(scripts)) return;
    slot->primed = true;
    size_t at = 0;
    while (next(reload, &at, &entry)) {
        if (!source_slug(entry->source) || !has_live(entry)) continue;
        rollout_send(&reload->rollouts, slot, entry->source, &entry->live, recent_change(entry));
    }
    rollout_send(&reload->rollouts, slot, SOURCE_SCRIPTS, &scripts->live, NULL);
}

static void prime_all(reload_t *reload) {
    reload->primed = true;
    for (int i = 0; i < reload->slots->count; i++) {
        if (reload->slots->all[i].state == SLOT_STARTING)
            reload_prime(reload, &reload->slots->all[i]);
    }
}

void reload_watch(reload_t *reload, poller_t *poller) {
    bool idle = false;
    for (size_t i = 0; i < RELOAD_TRIALS; i++) {
        if (reload->trials[i])
            trial_watch(reload->trials[i], poller);
        else
            idle = true;
    }
    rollouts_watch(&reload->rollouts, poller);
    size_t at = 0;
    entry_t *entry;
    while (idle && next(reload, &at, &entry)) {
        if (entry->state == STATE_MARKED) poller_wake(poller, entry->due_ms);
    }
    uint64_t now = poller_now();
    at = 0;
    while (next(reload, &at, &entry)) {
        if (entry->storing && entry->storing_ms > now) poller_wake(poller, entry->storing_ms);
    }
}

/* A tenant's folder that has vanished, for instance while it is being deployed anew, takes no rules away. */
static bool is_gone(const reload_t *reload, entry_t *entry) {
    char path[700];
    const char *slug = source_slug(entry->source);
    snprintf(path, sizeof(path), "%s/%s", reload->config->tenants, slug ? slug : "");
    bool gone = slug && access(path, F_OK) != 0;
    if (gone && !entry->gone) say(LOG_WARN, "tenant_folder_gone", entry, "path", path);
    entry->gone = gone;
    return gone;
}

static bool take(const reload_t *reload, entry_t *entry, uint64_t now) {
    if (entry->state != STATE_MARKED || entry->due_ms > now) return false;
    if (is_gone(reload, entry)) {
        forgive(entry);
        hold(entry, NULL);
        entry->storing = 0;
        settle(entry);
        return false;
    }
    entry->state = STATE_TRYING;
    return true;
}

/* The scripts come first: a start waits for them the longest. */
static size_t collect(reload_t *reload, uint64_t now, char (*out)[SOURCE_MAX]) {
    size_t at = 0, count = 0;
    entry_t *entry = find(reload, SOURCE_SCRIPTS);
    if (entry && take(reload, entry, now)) memcpy(out[count++], entry->source, SOURCE_MAX);
    while (count < RELOAD_BATCH && next(reload, &at, &entry)) {
        if (take(reload, entry, now)) memcpy(out[count++], entry->source, SOURCE_MAX);
    }
    return count;
}

static void mark_again(
    reload_t *reload, char (*sources)[SOURCE_MAX], size_t count, uint64_t due_ms) {
    for (size_t i = 0; i < count; i++) {
        entry_t *entry = find(reload, sources[i]);
        entry->state = STATE_MARKED;
        entry->due_ms = due_ms;
    }
}

static bool start_trial(reload_t *reload, trial_t **place, uint64_t now) {
    char(*sources)[SOURCE_MAX] = malloc((size_t)RELOAD_BATCH * SOURCE_MAX);
    size_t count = sources ? collect(reload, now, sources) : 0;
    if (count > 0) {
        *place = trial_new(reload->config, reload->shelf, sources, count, on_tried, reload);
        if (!*place) mark_again(reload, sources, count, now + 1000);
    }
    free(sources);
    return *place != NULL;
}

static bool is_trying(const reload_t *reload) {
    for (size_t i = 0; i < RELOAD_TRIALS; i++) {
        if (reload->trials[i]) return true;
    }
    return false;
}

void reload_tick(reload_t *reload, uint64_t now) {
    bool more = true;
    for (size_t i = 0; i < RELOAD_TRIALS; i++) {
        if (reload->trials[i])
            trial_tick(reload->trials[i], now);
        else
            more = more && start_trial(reload, &reload->trials[i], now);
    }
    rollouts_tick(&reload->rollouts, now);
    if (!reload->primed && reload->generation > 0 && !is_trying(reload) &&
        reload_settled(reload, 1)) {
        prime_all(reload);
    }
}

bool reload_reaped(reload_t *reload, pid_t pid, int status) {
    for (size_t i = 0; i < RELOAD_TRIALS; i++) {
        trial_t *trial = reload->trials[i];
        if (!trial || trial_pid(trial) != pid) continue;
        char(*rest)[SOURCE_MAX];
        size_t count = trial_reaped(trial, status, &rest);
        mark_again(reload, rest, count, poller_now());
        reload->trials[i] = NULL;
        trial_delete(trial);
        return true;
    }
    return false;
}
