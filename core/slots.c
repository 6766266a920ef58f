/* slots.c: starts, hears, replaces and ends the worker processes. */
#include "slots.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/err.h"
#include "base/log.h"
#include "spawn.h"

#define TICKS 5            /* of silence make stuck_ms */
#define START_MAX_MS 60000 /* a worker that is not ready by then is stuck */

static void enter(slot_t *slot, slot_state_t state) {
    slot->state = state;
    slot->since_ms = poller_now();
    slot->silent = 0;
}

static void close_sockets(slots_t *slots) {
    for (int i = 0; i < slots->count; i++) {
        for (int j = 0; j < slots->nfds; j++) {
            if (slots->all[i].fds[j] >= 0) close(slots->all[i].fds[j]);
            slots->all[i].fds[j] = -1;
        }
    }
}

static int open_sockets(slots_t *slots, const listen_set_t *listen, char *why, size_t size) {
    for (int i = 0; i < slots->count; i++) {
        for (int j = 0; j < slots->nfds; j++) {
            int fd = listen_open(&listen->addresses[j]);
            slots->all[i].fds[j] = fd < 0 ? -1 : fd;
            if (fd >= 0) continue;
            snprintf(
                why, size, "cannot listen on %s: %s", listen->addresses[j].text, strerror(-fd));
            return ERR_UNAVAILABLE;
        }
    }
    return 0;
}

static char *settings_of(const config_t *config) {
    buf_t text;
    buf_create(&text);
    config_to_json(config, &text);
    buf_char(&text, '\0');
    char *copy = text.failed ? NULL : strdup(text.ptr);
    buf_destroy(&text);
    return copy;
}

int slots_create(slots_t *slots, const config_t *config, const listen_set_t *listen,
    const slots_ops_t *ops, void *data, char *why, size_t size) {
    memset(slots, 0, sizeof(*slots));
    slots->count = (int)config->workers;
    slots->nfds = listen->count;
    slots->stuck_ms = (uint64_t)config->stuck_ms;
    slots->ops = ops;
    slots->data = data;
    arena_create(&slots->arena);
    for (int i = 0; i < slots->count; i++) {
        slot_t *slot = &slots->all[i];
        slot->slots = slots;
        slot->index = i;
        memset(slot->fds, -1, sizeof(slot->fds));
    }
    slots->settings = settings_of(config);
    int err = slots->settings ? open_sockets(slots, listen, why, size) : ERR_NO_MEMORY;
    if (err) slots_destroy(slots);
    return err;
}

void slots_destroy(slots_t *slots) {
    close_sockets(slots);
    for (int i = 0; i < slots->count; i++) {
        if (slots->all[i].state != SLOT_EMPTY) line_destroy(&slots->all[i].line);
        slots->all[i].state = SLOT_EMPTY;
    }
    free(slots->settings);
    slots->settings = NULL;
    arena_destroy(&slots->arena);
}

void slot_doom(slot_t *slot, const char *event) {
    if (slot->state != SLOT_STARTING && slot->state != SLOT_READY) return;
    log_event(LOG_ERROR, event, "\"slot\":%d,\"pid\":%d", slot->index, (int)slot->pid);
    kill(slot->pid, SIGKILL);
    enter(slot, SLOT_DOOMED);
}

int slot_send(slot_t *slot, const message_t *message) {
    if (slot->state != SLOT_STARTING && slot->state != SLOT_READY) return ERR_CLOSED;
    buf_t text;
    buf_create(&text);
    message_write(message, &text);
    int err = text.failed ? ERR_NO_MEMORY : line_write(&slot->line, buf_view(&text));
    buf_destroy(&text);
    /* A closed line means that it is dying already: the reaper will tell. */
    if (err && err != ERR_CLOSED) slot_doom(slot, "worker_deaf");
    return err;
}

static void on_line(void *data, span_t text) {
    slot_t *slot = data;
    message_t message;
    slots_t *slots = slot->slots;
    if (message_parse(text, &slots->arena, &message) != 0 || !message.answer) {
        slot_doom(slot, "worker_spoke_nonsense");
        return;
    }
    slot->silent = 0;
    if (strcmp(message.verb, "ready") == 0 && slot->state == SLOT_STARTING) {
        enter(slot, SLOT_READY);
        slots->ops->ready(slots->data, slot);
    } else if (strcmp(message.verb, "alive") != 0) {
        slots->ops->message(slots->data, slot, &message);
    }
    arena_destroy(&slots->arena);
}

static void on_poll(void *data, short events) {
    slot_t *slot = data;
    if (slot->state != SLOT_STARTING && slot->state != SLOT_READY) return;
    int err = (events & POLLOUT) ? line_flush(&slot->line) : 0;
    if (!err && (events & (POLLIN | POLLHUP | POLLERR)))
        err = line_read(&slot->line, on_line, slot);
    if (!err) return;
    /* Without its line it cannot be told anything, so it has to go, should it still be alive. */
    if (slot->slots->leaving)
        enter(slot, SLOT_DOOMED);
    else
        slot_doom(slot, "worker_gone");
}

void slots_watch(slots_t *slots, poller_t *poller) {
    for (int i = 0; i < slots->count; i++) {
        slot_t *slot = &slots->all[i];
        if (slot->state != SLOT_STARTING && slot->state != SLOT_READY) continue;
        short events = POLLIN | (line_waits(&slot->line) ? POLLOUT : 0);
        poller_add(poller, slot->line.fd, events, on_poll, slot);
    }
    poller_wake(poller, slots->tick_ms);
    for (int i = 0; i < slots->count && !slots->leaving; i++) {
        if (slots->all[i].state == SLOT_EMPTY) poller_wake(poller, poller_now() + 20);
    }
}

/* The times of the latest deaths are kept in turn, so the next place to write holds the oldest. */
static bool is_due(const slot_t *slot, uint64_t now) {
    if (slot->state != SLOT_EMPTY) return false;
    bool looping = slot->deaths >= SLOT_DEATHS &&
                   now - slot->deaths_ms[slot->deaths % SLOT_DEATHS] < SLOT_LOOP_MS;
    return !looping || now - slot->since_ms >= SLOT_PAUSE_MS;
}

static void start(slot_t *slot) {
    int channel;
    pid_t pid = spawn_worker(slot->fds, slot->slots->nfds, slot->slots->settings, &channel);
    if (pid < 0) {
        log_event(
            LOG_ERROR, "worker_not_started", "\"slot\":%d,\"errno\":%d", slot->index, (int)-pid);
        slot->deaths_ms[slot->deaths++ % SLOT_DEATHS] = slot->since_ms = poller_now();
        return;
    }
    slot->pid = pid;
    slot->lent = slot->primed = false;
    slot->building = 0;
    line_create(&slot->line, channel);
    enter(slot, SLOT_STARTING);
    log_event(LOG_INFO, "worker_started", "\"slot\":%d,\"pid\":%d", slot->index, (int)pid);
    slot->slots->ops->started(slot->slots->data, slot);
}

/* Silence is counted in ticks of the master's own, not by the clock: after the whole machine has slept, the workers
   have not been silent for longer than the master has been deaf. */
static void judge(slot_t *slot, uint64_t now) {
    if (slot->state == SLOT_READY && ++slot->silent > TICKS) slot_doom(slot, "worker_stuck");
    if (slot->state == SLOT_STARTING && now - slot->since_ms > START_MAX_MS) {
        slot_doom(slot, "worker_never_ready");
    }
}

static slot_t *any_ready(slots_t *slots) {
    for (int i = 0; i < slots->count; i++) {
        if (slots->all[i].state == SLOT_READY) return &slots->all[i];
    }
    return NULL;
}

/* What waits in an empty slot's queue is served by a sibling, which keeps accepting there beside the replacement. */
static void lend(slot_t *slot, uint64_t now) {
    slot_t *sibling = any_ready(slot->slots);
    if (slot->lent || now - slot->since_ms < SLOT_LEND_MS || !sibling) return;
    static const char TEXT[] = "{\"do\":\"accept\"}\n";
    for (int i = 0; i < slot->slots->nfds; i++) {
        if (line_write_fd(&sibling->line, SPAN(TEXT), slot->fds[i]) != 0) return;
    }
    slot->lent = true;
    log_event(LOG_WARN, "slot_lent", "\"slot\":%d,\"to\":%d", slot->index, sibling->index);
}

void slots_tick(slots_t *slots, uint64_t now) {
    bool round = now >= slots->tick_ms;
    if (round) slots->tick_ms = now + slots->stuck_ms / TICKS;
    for (int i = 0; i < slots->count && !slots->leaving; i++) {
        slot_t *slot = &slots->all[i];
        if (round) judge(slot, now);
        if (is_due(slot, now))
            start(slot);
        else if (slot->state == SLOT_EMPTY)
            lend(slot, now);
    }
}

static void log_death(const slot_t *slot, int status) {
    bool clean = slot->slots->leaving && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const char *how = WIFSIGNALED(status) ? "signal" : "code";
    int value = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    log_event(clean ? LOG_INFO : LOG_ERROR, clean ? "worker_ended" : "worker_died",
        "\"slot\":%d,\"pid\":%d,\"%s\":%d", slot->index, (int)slot->pid, how, value);
}

bool slots_reaped(slots_t *slots, pid_t pid, int status) {
    for (int i = 0; i < slots->count; i++) {
        slot_t *slot = &slots->all[i];
        if (slot->state == SLOT_EMPTY || slot->pid != pid) continue;
        log_death(slot, status);
        line_destroy(&slot->line);
        enter(slot, SLOT_EMPTY);
        slot->deaths_ms[slot->deaths++ % SLOT_DEATHS] = poller_now();
        slots->ops->lost(slots->data, slot);
        return true;
    }
    return false;
}

void slots_drain(slots_t *slots) {
    message_t drain = {.verb = "drain", .fd = -1};
    slots->leaving = true;
    for (int i = 0; i < slots->count; i++) {
        slot_send(&slots->all[i], &drain);
    }
    close_sockets(slots);
}

void slots_kill(slots_t *slots) {
    for (int i = 0; i < slots->count; i++) {
        if (slots->all[i].state != SLOT_EMPTY) kill(slots->all[i].pid, SIGKILL);
    }
}

int slots_alive(const slots_t *slots) {
    int count = 0;
    for (int i = 0; i < slots->count; i++) {
        count += slots->all[i].state != SLOT_EMPTY;
    }
    return count;
}

int slots_ready(const slots_t *slots) {
    int count = 0;
    for (int i = 0; i < slots->count; i++) {
        count += slots->all[i].state == SLOT_READY;
    }
    return count;
}
