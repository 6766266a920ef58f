/* client.h: the HTTP client of a loop: a bounded queue, a bounded number of transfers, connections kept for reuse. */
#ifndef PERIGEE_HTTP_CLIENT_H
#define PERIGEE_HTTP_CLIENT_H
#include "http/fetch.h"

typedef struct client_options {
    loop_t *loop;
    size_t most;  /* transfers at once; 0 for 64 */
    size_t bound; /* fetches waiting for their turn; 0 for 1000 */
} client_options_t;

/* Costs nothing until the first fetch, which opens libcurl on a thread. Closes itself when the loop is deleted: every
   fetch then ends with ERR_CLOSED. NULL when out of memory. */
client_t *client_new(const client_options_t *options);
/* 0, and `done` follows exactly once, from the loop, never inside this call. ERR_INVALID (see fetch->detail) or
   ERR_BUSY; then `done` is not called. */
int client_start(client_t *client, fetch_t *fetch);
/* Lets go: the connection is dropped, and `done` follows on a later turn with ERR_CANCELLED. */
void client_cancel(fetch_t *fetch);

#endif
