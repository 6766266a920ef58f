/* link.h: one pipelined connection, from dialling to its end; it does not come back, a new one takes its place. */
#ifndef PERIGEE_POSTGRES_LINK_H
#define PERIGEE_POSTGRES_LINK_H
#include "postgres/cancel.h"
#include "postgres/url.h"

typedef struct postgres_link postgres_link_t;

/* What the connection found out about a query that failed. */
typedef enum {
    POSTGRES_PASS,     /* the submitter gets the result */
    POSTGRES_STRAY,    /* stopped by a cancel meant for another; it has not happened */
    POSTGRES_STALE,    /* a prepared statement was not what it was; it has not happened */
    POSTGRES_BEHIND,   /* the replica cannot answer it */
    POSTGRES_READ_ONLY /* this server takes no writes any more; it has not happened */
} postgres_verdict_t;

/* Called from the loop, never inside postgres_link_open or postgres_link_send. */
typedef struct postgres_link_events {
    void (*up)(void *data, postgres_link_t *link); /* may send */
    /* The connection failed or ended; once, unless postgres_link_close came first. Its queries end with ERR_CLOSED on a
       later turn. The link is gone when this returns. detail holds no secret. */
    void (*down)(void *data, postgres_link_t *link, const char *detail);
    /* Something may be sent again, or nothing is under way any more; may be NULL. */
    void (*free)(void *data, postgres_link_t *link);
    void (*notified)(void *data, postgres_link_t *link, const PGnotify *notice); /* may be NULL */
} postgres_link_events_t;

/* What the links of a client share. */
typedef struct postgres_ground {
    loop_t *loop;
    postgres_cancels_t cancels;
    size_t result_max; /* bytes */
    uint64_t connects, losses;
} postgres_ground_t;

typedef struct postgres_link_options {
    postgres_ground_t *ground;
    postgres_url_t *url;
    uint64_t connect_ms;
    bool owned;   /* by one caller: what nobody waits for is cancelled at once */
    bool guarded; /* a replica: min_lsn is asked */
    const postgres_link_events_t *events;
    void *data;
} postgres_link_options_t;

/* Starts to connect; NULL when out of memory. */
postgres_link_t *postgres_link_open(const postgres_link_options_t *options);
/* Closes now, without `down`; its queries end with ERR_CLOSED on a later turn, and the server is asked to stop what it
   runs on an owned one. May be called from its own events and from a query's end. */
void postgres_link_close(postgres_link_t *link);

/* Writes a query into the connection's buffer, for postgres_link_flush. query->settle is called with the answer, or on
   a later turn with ERR_CLOSED. Only when postgres_link_can_send; ERR_NO_MEMORY or ERR_UNAVAILABLE: not sent. The
   deadline is the sender's business: when it passes, postgres_link_forget. */
int postgres_link_send(postgres_link_t *link, postgres_query_t *query);
void postgres_link_flush(postgres_link_t *link);
/* At the end of this turn. */
void postgres_link_flush_later(postgres_link_t *link);
/* What is sent until the next flush leaves the machine in one piece. */
void postgres_link_cork(postgres_link_t *link);
/* Nobody waits for the query any more: its place in the queue stays and swallows the answer. Once it is the oldest and
   late, the server is asked to stop it, and nothing is sent behind it until it has answered; when it does not within
   twice the query's time (and a second), the connection is given up. */
void postgres_link_forget(postgres_query_t *query, bool late);
/* Forgets all, as late; what was waited for ends with ERR_CLOSED on a later turn. */
void postgres_link_abandon(postgres_link_t *link);
/* Asks the server to stop the oldest query, whoever waits for it. */
void postgres_link_stop(postgres_link_t *link);

/* Open, and nothing on it is being cancelled. */
bool postgres_link_can_send(const postgres_link_t *link);
bool postgres_link_is_up(const postgres_link_t *link);
/* Queries without an answer, those that were forgotten included. */
size_t postgres_link_load(const postgres_link_t *link);
PGTransactionStatusType postgres_link_state(const postgres_link_t *link);
void postgres_link_pause(postgres_link_t *link, bool paused);
bool postgres_link_is_paused(const postgres_link_t *link);
/* The server forgets all that was prepared: called before DISCARD ALL is sent. */
void postgres_link_forget_prepared(postgres_link_t *link);

/* For COPY, which no pipeline carries: the connection itself, while nothing is under way. turn: it can be read or
   written. lost: it is over; inside any call that ends it. */
typedef struct postgres_taker {
    void (*turn)(void *data);
    void (*lost)(void *data, const char *detail);
    void *data;
} postgres_taker_t;
/* NULL: it cannot be taken now. The taker is kept. */
PGconn *postgres_link_take(postgres_link_t *link, const postgres_taker_t *taker);
bool postgres_link_is_taken(const postgres_link_t *link);
/* Whether OpenSSL has bytes that libpq has not taken yet: for them the descriptor does not become readable. */
bool postgres_link_holds_more(const postgres_link_t *link);
/* After each use: what to wait for, or that the connection has broken. The link may be gone when this returns false. */
bool postgres_link_taken_wait(postgres_link_t *link, bool unsent);
/* Gives the connection up; `lost` and `down` come. The server is asked to stop what it runs. */
void postgres_link_fail(postgres_link_t *link, const char *detail);
/* The taker has left the connection idle. */
void postgres_link_give_back(postgres_link_t *link);

#endif
