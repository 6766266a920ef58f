/* listener.h: sockets that accept, and the set of connections they opened, up to the graceful end. */
#ifndef PERIGEE_NET_LISTENER_H
#define PERIGEE_NET_LISTENER_H
#include "net/exchange.h"

/* Defaults are http.md's; net_limits_default fills them. Times in milliseconds, sizes in bytes. */
typedef struct net_limits {
    size_t line_max;       /* request line and target: 8 KB, 414 */
    size_t headers_max;    /* 16 KB, also chunk extensions and trailers: 431 */
    size_t fields_max;     /* 100: 431 */
    size_t body_max;       /* 1 MB unless body_limit says otherwise: 413 */
    uint64_t head_ms;      /* from the first byte: 10 s, 408 */
    uint64_t body_rate;    /* at least so many bytes a second: 1 KB, 408 */
    uint64_t idle_ms;      /* 60 s */
    uint64_t requests_max; /* per connection: 10,000 */
    size_t pipeline_max;   /* 16 */
    size_t conns_max;
    size_t out_max;    /* bytes of answers a client may leave unread before reading stops: 1 MB */
    uint64_t write_ms; /* an answer that makes no progress for so long: 30 s, reset */
} net_limits_t;
void net_limits_default(net_limits_t *limits);

/* All of a worker's connections. */
typedef struct net net_t;
net_t *net_new(loop_t *loop, const net_limits_t *limits, const exchange_ops_t *ops);
/* Accepts on a listening socket that the caller keeps (a copy of the descriptor is used). 0 or a negative libuv
   code. */
int net_listen(net_t *net, int fd);
/* Stops accepting; idle connections close now, busy ones after their answer (Connection: close). drained is called
   once on a later turn, when none is left; after max_ms what is left is reset. */
void net_drain(net_t *net, uint64_t max_ms, void (*drained)(void *data), void *data);
/* Closes all at once (gone, ended), finishes on later turns; frees net when the last handle has closed. */
void net_delete(net_t *net);
size_t net_count(const net_t *net); /* open connections */

#endif
