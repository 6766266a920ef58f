/* link.h: one pipelined connection, from dialling to its end; it does not come back, a new one takes its place. */
#ifndef PERIGEE_REDIS_LINK_H
#define PERIGEE_REDIS_LINK_H
#include "redis/greet.h"
#include "redis/redis.h"
#include "redis/url.h"

typedef struct link link_t;

/* Most bytes that may wait to be written on one connection: what a server costs that has stopped reading. A command
   that is longer is sent alone. */
#define LINK_UNSENT_MAX (32 * 1024 * 1024)

/* Called from the loop, never inside link_open or link_send. */
typedef struct link_events {
    void (*up)(void *data, link_t *link); /* greeted: may send */
    /* The connection failed or ended; once, unless link_close came first. Its commands end with ERR_CLOSED on a later
       turn. The link is gone when this returns. detail names the server and holds no secret. */
    void (*down)(void *data, link_t *link, const char *detail);
    /* An answer nobody asked for: a message of a subscription, a RESP3 push. NULL: pushes are dropped, and any other
       is a fault that ends the connection. */
    void (*message)(void *data, link_t *link, const redisReply *reply);
} link_events_t;

typedef struct link_options {
    loop_t *loop;
    redis_endpoint_t at;
    const redis_access_t *access;
    uint64_t connect_ms; /* for dialling, TLS and greeting together */
    uint64_t
        span_ms; /* what a command in less of a hurry has: no shorter time says that the server is gone */
    const link_events_t *events;
    void *data;
} link_options_t;

/* Starts to connect; NULL when out of memory. */
link_t *link_open(const link_options_t *options);
/* Closes now, without `down`; its commands end with ERR_CLOSED on a later turn. May be called from its own events and
   from a command's end. */
void link_close(link_t *link);

/* Sends a command at the end of this turn, together with whatever else this turn sends. command->settle is called with
   the answer, or on a later turn with ERR_CLOSED. Only when up; ERR_NO_MEMORY, ERR_BUSY (LINK_UNSENT_MAX). The
   deadline is the sender's business: when it passes, link_forget. command->asking puts ASKING right before it. */
int link_send(link_t *link, redis_command_t *command);
/* As link_send, for a subscriber's commands, whose answers come as messages. */
int link_say(link_t *link, const span_t *argv, int argc);
/* The command waits no more: its place in the queue stays and swallows the answer. When the oldest place gets no answer
   within twice its command's time (span_ms at least), the connection is given up. */
void link_forget(redis_command_t *command);

bool link_is_up(const link_t *link);
uint64_t link_heard_ms(const link_t *link); /* when the last answer came, loop time; 0: none has */
/* Loop time from which on the oldest place has waited for an answer and none has come, when that is its command's time
   (span_ms at least) or longer; else 0. */
uint64_t link_silent_since(const link_t *link);
/* Whether something was sent in this turn that has not been written yet. */
bool link_is_writing(const link_t *link);
/* Places in the queue: commands without an answer, those that were forgotten included. */
size_t link_load(const link_t *link);
int link_protocol(const link_t *link); /* 2 or 3, once up */
const redis_endpoint_t *link_at(const link_t *link);

#endif
