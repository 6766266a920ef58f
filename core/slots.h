/* slots.h: the worker slots: each has its own listening sockets, kept here, and a process that serves on them. */
#ifndef PERIGEE_SLOTS_H
#define PERIGEE_SLOTS_H
#include <sys/types.h>
#include "line.h"
#include "listen.h"
#include "message.h"
#include "poller.h"

#define SLOTS_MAX 64
#define SLOT_DEATHS 5 /* so many within SLOT_LOOP_MS are a crash loop: then a pause */
#define SLOT_LOOP_MS 10000
#define SLOT_PAUSE_MS 1000
#define SLOT_LEND_MS 200

/* EMPTY: no process. STARTING: not ready yet. READY: it serves. DOOMED: killed, not yet reaped. */
typedef enum { SLOT_EMPTY, SLOT_STARTING, SLOT_READY, SLOT_DOOMED } slot_state_t;

typedef struct slots slots_t;
typedef struct slot {
    slots_t *slots;
    int index;
    slot_state_t state;
    pid_t pid;
    line_t line; /* open in every state but EMPTY */
    int fds[LISTEN_MAX];
    uint64_t since_ms;               /* of the state */
    uint64_t deaths_ms[SLOT_DEATHS]; /* the latest, in turn */
    size_t deaths;
    int silent;       /* ticks since its last message */
    bool lent;        /* while EMPTY: a sibling accepts on it */
    bool primed;      /* has been sent its first editions */
    int64_t building; /* the id of the scripts it was told last to build */
} slot_t;

typedef struct slots_ops {
    void (*started)(void *data, slot_t *slot);
    void (*message)(void *data, slot_t *slot, const message_t *message);
    void (*ready)(void *data, slot_t *slot);
    void (*lost)(void *data, slot_t *slot); /* once it has been reaped */
} slots_ops_t;

struct slots {
    slot_t all[SLOTS_MAX];
    int count;
    int nfds; /* per slot */
    char *settings;
    uint64_t stuck_ms, tick_ms;
    bool leaving; /* no replacement any more */
    arena_t arena;
    const slots_ops_t *ops;
    void *data;
};

/* Opens every slot's sockets; starts nothing. An error comes with a sentence and leaves nothing open. */
int slots_create(slots_t *slots, const config_t *config, const listen_set_t *listen,
    const slots_ops_t *ops, void *data, char *why, size_t size);
/* Closes sockets and lines. No process may be left. */
void slots_destroy(slots_t *slots);
void slots_watch(slots_t *slots, poller_t *poller);
/* Starts what is due, kills what has been silent for too long, lends empty slots. */
void slots_tick(slots_t *slots, uint64_t now);
/* A process of this pid has ended with waitpid's status: whether it was a worker. */
bool slots_reaped(slots_t *slots, pid_t pid, int status);
/* ERR_CLOSED, ERR_BUSY or ERR_NO_MEMORY; then the worker is doomed, since it has missed a message. */
int slot_send(slot_t *slot, const message_t *message);
/* Kills it at once; `lost` and its replacement follow when it has been reaped, on a later round. */
void slot_doom(slot_t *slot, const char *event);
/* Tells every worker to finish, and closes the sockets, so that new connections are refused. */
void slots_drain(slots_t *slots);
void slots_kill(slots_t *slots);
int slots_alive(const slots_t *slots); /* processes */
int slots_ready(const slots_t *slots);

#endif
