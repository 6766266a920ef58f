/* redis.h: commands, connections of one's own and subscriptions on a Redis server, a Sentinel group or a Cluster. */
#ifndef PERIGEE_REDIS_REDIS_H
#define PERIGEE_REDIS_REDIS_H
#include <hiredis/hiredis.h>
#include "base/bytes.h"
#include "base/loop.h"
#include "base/pool.h"

#define REDIS_DETAIL_MAX 120

/* One URL and whatever stands behind it, on one loop. Closes with the loop: what still waits ends with ERR_CLOSED. */
typedef struct redis redis_t;

typedef struct redis_options {
    /* redis:// rediss:// unix:// redis+cluster:// rediss+cluster:// redis+sentinel:// rediss+sentinel:// (url.h);
       copied. */
    const char *url;
    const char *read_url;              /* where commands with `replica` go, or NULL */
    int shared;                        /* pipelined connections per node; 0: 2 */
    int pool_max, pool_idle, pool_min; /* connections of one's own; 0: 50, 20, 10 */
    uint64_t connect_ms;               /* for all of connect, TLS and greeting; 0: 1000 */
    uint64_t command_ms;               /* for a command without a deadline; 0: 1000 */
    size_t bound;                      /* most commands on their way or waiting; 0: 10000 */
    size_t reply_max;                  /* bytes that one reply may take; 0: 16 MiB */
} redis_options_t;

/* NULL with a sentence in why: a bad URL (never with its password), TLS files that cannot be read, no memory. Connects
   in the background and for ever; nothing waits for the server here. */
redis_t *redis_new(loop_t *loop, const redis_options_t *options, char *why, size_t size);
/* Whether some node answers now. */
bool redis_up(const redis_t *redis);

/* One command. The submitter clears the memory, fills the first part and keeps all of it until `done`, which comes
   exactly once, on the loop, never inside the call that submitted it. Inside `done` the memory is the submitter's. */
typedef struct redis_command redis_command_t;
struct redis_command {
    const span_t *argv; /* argv[0] is the name; alive until done */
    int argc;
    int key;              /* index in argv of the key that routes it; 0: none, any node */
    bool repeatable;      /* may be sent again to a server that was not ready for it */
    bool replica;         /* a replica may answer */
    uint64_t deadline_ms; /* loop time; 0: command_ms from now */
    void (*done)(redis_command_t *command);
    void *data; /* the submitter's */

    /* The result. reply is valid inside done only; NULL on a failure. An error the server answers is a reply of type
       REDIS_REPLY_ERROR with err 0 (see redis_reply_err). err: ERR_TIMEOUT, ERR_UNAVAILABLE (never sent, or refused
       while nothing answers), ERR_BUSY (never sent: too many bytes wait on its connection), ERR_TOO_LARGE (it has run,
       and answered more than reply_max), ERR_CLOSED (sent, and the connection went: it may have run or not, and is
       never sent again), ERR_CANCELLED. A command is sent twice only when a server has refused it: redirected, or
       `repeatable`. */
    const redisReply *reply;
    int err;
    char detail[REDIS_DETAIL_MAX];

    /* The driver's. */
    redis_t *redis;
    list_t node;
    deadline_t timer;
    deferred_t ended;
    struct link *link; /* the connection it was sent on and has no answer from */
    uint64_t place;    /* there */
    /* The floor that takes the result; NULL once it has ended. */
    void (*settle)(redis_command_t *command);
    struct redis_node *at; /* where it was sent */
    uint64_t until_ms;     /* deadline_ms, or what stands for 0 */
    int hops;
    bool asking;
};

/* 0, or ERR_BUSY (bound), ERR_CLOSED (the loop is ending), ERR_INTERNAL (with detail: no arguments, or a command that
   needs a connection of its own or that the driver keeps to itself: refusals by name); then `done` is not called. The
   commands that one turn of the loop submits to one node are sent in their order on one connection, in one write. */
int redis_submit(redis_t *redis, redis_command_t *command);
/* `done` follows on a later turn with ERR_CANCELLED; what was sent already may still run. No effect on a command that
   has ended or was never submitted (but its memory must have been cleared). */
void redis_cancel(redis_command_t *command);

/* The error of err.h for an error reply: ERR_UNAVAILABLE for LOADING, READONLY, OOM, CLUSTERDOWN, NOAUTH and their
   like, ERR_CONFLICT for EXECABORT, BUSYGROUP and BUSYKEY, otherwise ERR_INTERNAL (also WRONGTYPE and CROSSSLOT: who
   wrote the command is to blame); 0 for a reply that is none. */
int redis_reply_err(const redisReply *reply);
/* Whether an error reply begins with this code ("NOSCRIPT"). */
bool redis_reply_is(const redisReply *reply, const char *code);

/* A connection of one's own for WATCH, MULTI, EXEC and blocking commands: base/pool.h, with lease_end to give it back,
   and `key` to choose the node. 0, or ERR_BUSY (too many wait already), ERR_CLOSED, ERR_NO_MEMORY. */
int redis_lease(redis_t *redis, lease_t *lease);
/* As redis_submit, in order on the leased connection; ERR_CLOSED when the connection has gone. Never sent twice.
   Commands under way at lease_end end with ERR_CLOSED on a later turn. The connection is then kept only if clean and
   nothing is open on it: no answer outstanding, no MULTI, no WATCH. */
int redis_lease_submit(lease_t *lease, redis_command_t *command);

/* Messages of a channel. The caller clears the memory, fills the first part and keeps it until redis_unsubscribe; the
   callbacks come on the loop, never inside redis_subscribe, and may unsubscribe. */
typedef struct redis_subscription redis_subscription_t;
struct redis_subscription {
    span_t channel; /* alive until unsubscribed */
    bool pattern;   /* channel is a glob pattern */
    void (*message)(redis_subscription_t *subscription, span_t channel, span_t payload);
    /* Messages may have been missed: when it becomes live (the first time too) and when it is lost. What was learnt by
       messages counts as changed. `live` says which. */
    void (*missed)(redis_subscription_t *subscription);
    void *data; /* the caller's */
    bool live;

    /* The driver's. */
    redis_t *redis;
    list_t node;
};

int redis_subscribe(redis_t *redis, redis_subscription_t *subscription); /* 0 or ERR_NO_MEMORY */
void redis_unsubscribe(redis_subscription_t *subscription);

#endif
