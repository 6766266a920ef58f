/* dial.h: makes a connection: names looked up, hosts and their addresses tried in turn, within one time. */
#ifndef PERIGEE_POSTGRES_DIAL_H
#define PERIGEE_POSTGRES_DIAL_H
#include "base/loop.h"
#include "postgres/url.h"

typedef struct postgres_dial postgres_dial_t;
/* conn is open and the receiver's, or NULL with a sentence in why. Never inside postgres_dial_new. The dial is gone
   when it returns. */
typedef void (*postgres_dial_cb)(void *data, PGconn *conn, const char *why);

/* One round through the hosts, each of which gets its part of connect_ms, so that one that is silent does not hide the
   others. The url is kept. NULL: no memory. */
postgres_dial_t *postgres_dial_new(
    loop_t *loop, postgres_url_t *url, uint64_t connect_ms, postgres_dial_cb done, void *data);
/* Gives it up; done does not come. */
void postgres_dial_stop(postgres_dial_t *dial);

#endif
