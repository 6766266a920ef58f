/* greet.h: what is said first on a connection: who we are, which protocol, which database. */
#ifndef PERIGEE_REDIS_GREET_H
#define PERIGEE_REDIS_GREET_H
#include <openssl/types.h>
#include "redis/redis.h"

/* How a server is spoken to; outlives its links. */
typedef struct redis_access {
    const char *user,
        *password; /* empty: none; the password without a user is the default user's */
    int db;
    size_t reply_max;     /* bytes that one reply may take; 0: any */
    SSL_CTX *tls;         /* NULL: none */
    const char *tls_name; /* in the certificate; empty: the host's */
    bool resp2;           /* do not ask for RESP3 */
    bool readonly;        /* send READONLY, as a Cluster's replicas need it */
    bool master;          /* ask for the ROLE, and refuse what is no master */
} redis_access_t;

#define REDIS_GREET_MAX 6

typedef enum {
    GREET_AUTH,
    GREET_HELLO,
    GREET_NAME,
    GREET_SELECT,
    GREET_READONLY,
    GREET_ROLE
} redis_step_t;

typedef struct redis_greeting {
    redis_step_t steps[REDIS_GREET_MAX];
    int count, next;
    int protocol; /* 2, or 3 when the server agreed */
} redis_greeting_t;

typedef struct redis_line {
    span_t argv[4];
    int argc;
    char number[16];
} redis_line_t;

/* All steps go out in one write; the answers come in their order. */
void redis_greet_begin(redis_greeting_t *greeting, const redis_access_t *access);
/* The command of step i. */
void redis_greet_line(
    const redis_greeting_t *greeting, const redis_access_t *access, int i, redis_line_t *line);
/* Takes the next answer: 0 more to come, 1 greeted, -1 refused with a sentence in why: which user or database, and of
   the error its first word alone: old servers repeat a command's arguments in their errors, and AUTH's is the
   password. */
int redis_greet_answer(redis_greeting_t *greeting, const redis_access_t *access,
    const redisReply *reply, char *why, size_t size);

#endif
