/* slots_rig.h: worker slots whose workers are played by the test: a line to each, and a process that only waits. */
#ifndef PERIGEE_TEST_SLOTS_RIG_H
#define PERIGEE_TEST_SLOTS_RIG_H
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "slots.h"

#define RIG_WORKERS 3

typedef struct rig {
    slots_t slots;
    line_t workers[RIG_WORKERS]; /* the workers' ends */
    char heard[1000];
    char path[1100], hash[65], tenant[80], change[37]; /* of the last message that had them */
    int started, messages, ready, lost;
    char verb[32]; /* of the last message that the master got */
} rig_t;

static inline void rig_started(void *data, slot_t *slot) {
    (void)slot;
    ((rig_t *)data)->started++;
}

static inline void rig_message(void *data, slot_t *slot, const message_t *message) {
    rig_t *rig = data;
    (void)slot;
    rig->messages++;
    snprintf(rig->verb, sizeof rig->verb, "%s", message->verb);
}

static inline void rig_ready(void *data, slot_t *slot) {
    (void)slot;
    ((rig_t *)data)->ready++;
}

static inline void rig_lost(void *data, slot_t *slot) {
    (void)slot;
    ((rig_t *)data)->lost++;
}

/* A slot's pid is a real process's: whoever is doomed is killed. It is made before the lines are: one that had a copy
   of a line would keep it from ending. */
static inline pid_t rig_process(void) {
    pid_t parent = getpid(), pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent)
        pause();
    _exit(0);
}

static inline void rig_open(rig_t *rig) {
    static const slots_ops_t OPS = {rig_started, rig_message, rig_ready, rig_lost};
    memset(rig, 0, sizeof *rig);
    rig->slots.count = RIG_WORKERS;
    rig->slots.stuck_ms = 3600000;
    rig->slots.ops = &OPS;
    rig->slots.data = rig;
    arena_create(&rig->slots.arena);
    for (int i = 0; i < RIG_WORKERS; i++) {
        rig->slots.all[i].pid = rig_process();
        assert_true(rig->slots.all[i].pid > 0);
    }
    for (int i = 0; i < RIG_WORKERS; i++) {
        int pair[2];
        slot_t *slot = &rig->slots.all[i];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        memset(slot->fds, -1, sizeof slot->fds);
        slot->slots = &rig->slots;
        slot->index = i;
        slot->state = SLOT_READY;
        slot->since_ms = poller_now();
        line_create(&slot->line, pair[0]);
        line_create(&rig->workers[i], pair[1]);
    }
}

/* Waits until the process has ended; the slot has been emptied then. Its status. */
static inline int rig_reap(rig_t *rig, int index) {
    int status = 0;
    pid_t pid = rig->slots.all[index].pid;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(slots_reaped(&rig->slots, pid, status));
    return status;
}

static inline void rig_close(rig_t *rig) {
    slots_kill(&rig->slots);
    for (int i = 0; i < RIG_WORKERS; i++) {
        if (rig->slots.all[i].state != SLOT_EMPTY) rig_reap(rig, i);
        line_destroy(&rig->workers[i]);
    }
    slots_destroy(&rig->slots);
}

static inline void rig_take(void *data, span_t text) {
    rig_t *rig = data;
    message_t message;
    arena_t arena;
    size_t used = strlen(rig->heard);
    arena_create(&arena);
    assert_int_equal(message_parse(text, &arena, &message), 0);
    snprintf(rig->heard + used, sizeof rig->heard - used, "%s%s", used ? " " : "", message.verb);
    if (message.path) snprintf(rig->path, sizeof rig->path, "%s", message.path);
    if (message.hash) snprintf(rig->hash, sizeof rig->hash, "%s", message.hash);
    if (message.tenant) snprintf(rig->tenant, sizeof rig->tenant, "%s", message.tenant);
    if (message.change) snprintf(rig->change, sizeof rig->change, "%s", message.change);
    arena_destroy(&arena);
}

/* The verbs that this worker has been told since it was last asked. */
static inline const char *rig_heard(rig_t *rig, int index) {
    rig->heard[0] = '\0';
    line_read(&rig->workers[index], rig_take, rig);
    return rig->heard;
}

#endif
