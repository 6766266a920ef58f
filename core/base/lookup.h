/* lookup.h: the addresses of a name, found beside the loop and beside libuv's pool. */
#ifndef PERIGEE_BASE_LOOKUP_H
#define PERIGEE_BASE_LOOKUP_H
#include <netdb.h>
#include "base/loop.h"

/* Most at once in a process; each has a thread, and one that a resolver keeps waiting keeps it. */
#define LOOKUPS_MAX 32

typedef struct lookup lookup_t;
/* found is the receiver's (freeaddrinfo), or NULL with a negative libuv code in err. Called once, on the loop, never
   inside lookup_start; the lookup is gone when it returns. */
typedef void (*lookup_cb)(void *data, int err, struct addrinfo *found);

/* Stream sockets' addresses of either family, with the port in them. 0, or a negative libuv code: UV_EAI_AGAIN when too
   many are under way, UV_ENOMEM, UV_ENAMETOOLONG; then done is not called. There is no time limit: lookup_stop ends it.
   It keeps the loop alive. */
int lookup_start(
    lookup_t **out, loop_t *loop, const char *host, int port, lookup_cb done, void *data);
/* done does not come. Waits for nothing: a resolver that hangs goes on by itself, and holds up no loop's end and no
   program's. */
void lookup_stop(lookup_t *lookup);

#endif
