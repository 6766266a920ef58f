/* conn.h: what the files of this room share: the worker's set of connections, a connection, an exchange's slot. */
#ifndef PERIGEE_NET_CONN_H
#define PERIGEE_NET_CONN_H
#include <llhttp.h>
#include "net/listener.h"

#define NET_INPUT_SIZE (64 * 1024)
#define NET_HOST_MAX 255 /* a DNS name has at most 253 characters */
#define NET_LINGER_MS                                                                              \
    1000 /* how long a closed connection still reads and drops, so that no reset eats the answer */
#define NET_DROP_MAX 262144 /* bytes dropped before the connection stops listening to them */

/* What the next byte belongs to. */
typedef enum {
    READ_IDLE, /* the first byte of a request */
    READ_HEAD,
    READ_BODY, /* also chunk extensions and trailers */
    READ_DEAF  /* nothing: bytes are dropped */
} read_state_t;

/* An exchange and what only this room knows of it. Taken from the pool with a request's first byte. */
typedef struct slot {
    exchange_t x; /* the first field, so that an exchange_t pointer is its slot's */
    list_t node;  /* in the connection's queue, in the pool, or in none while it is read */
    buf_t part;   /* the beginning of a token that a read cut in two */
    span_t token; /* the token being read, within the read buffer */
    buf_t body;   /* the body when it came in several pieces */
    buf_t out;    /* the answer, when others must leave before it */
    size_t head_bytes, extra_bytes; /* header fields; chunk extensions and trailers */
    size_t ntrailers, chunks;
    size_t received, body_limit;            /* bytes of body */
    uint64_t begin, method_end, target_end; /* positions in the connection's stream */
    bool dispatched;                        /* ops.request has seen it */
    bool placed;                            /* its answer is in net->out already */
    bool keep_alive;                        /* the client wants another */
    bool closes;                            /* its answer said that the connection closes */
    bool expects;                           /* waits for 100 Continue before it sends the body */
    char host[NET_HOST_MAX + 1];
    header_t headers[]; /* limits.fields_max */
} slot_t;

struct net {
    loop_t *loop;
    net_limits_t limits;
    exchange_ops_t ops;
    list_t listeners;
    list_t conns; /* open, until conn_close */
    size_t count;
    size_t handles; /* libuv handles whose close callback has not run */
    char *input;
    span_t window;    /* the bytes being parsed: spans into it do not outlive this read callback */
    conn_t *feeding;  /* whose bytes they are */
    uint64_t read_ns; /* when they were read */
    buf_t out;        /* answers of one connection on their way to the socket */
    list_t pool;      /* free slots */
    size_t npool;
    uint64_t date_until; /* loop time at which `date` is stale */
    char date[40];       /* "Date: …\r\n" */
    int spare;           /* a descriptor to give up when there is no other */
    bool paused;         /* accepts nothing now */
    bool draining, deleted;
    deadline_t retry;     /* accept again after a failure */
    deadline_t drain_end; /* reset what is left */
    deferred_t finish;    /* calls drained, or frees net */
    void (*drained)(void *data);
    void *drained_data;
};

struct conn {
    uv_tcp_t tcp;
    net_t *net;
    list_t node;
    llhttp_t parser;
    uint64_t offset; /* position in the stream of the window's first byte */
    read_state_t state;
    slot_t *current; /* being read */
    list_t queue;    /* whole requests, in order of arrival */
    size_t depth;    /* how many */
    uint64_t requests;
    int refusal; /* what a parser callback found wrong: an err_t and a sentence */
    const char *detail;
    buf_t held;        /* bytes not parsed yet, because the queue is full */
    size_t unsent;     /* bytes in uv_write */
    size_t last_queue; /* uv's write queue when the write deadline last looked */
    size_t dropped, window_bytes;
    uint64_t since_ms; /* when the state began; of a body, when its window did */
    uint64_t write_ms; /* the last progress of a write */
    deadline_t deadline;
    deferred_t later; /* flush and go on, outside the read callback */
    uv_shutdown_t shut;
    bool reading;   /* uv_read_start is in force */
    bool eof;       /* the client has shut its side */
    bool last;      /* the last answer is in the buffer: end after the flush */
    bool broken;    /* a write failed */
    bool ending;    /* conn_end was called */
    bool lingering; /* our side is shut, too */
    bool overdue;   /* the deadline has passed once: one more poll before it counts */
    bool closed;    /* conn_close was called */
    char peer[46];
};

/* conn.c */
/* Takes a connected socket over. peer is textual. NULL: the descriptor is closed. */
conn_t *conn_open(net_t *net, int fd, const char *peer);
/* Marks and unhooks now (gone, ended), frees on a later turn. May be called twice. */
void conn_close(conn_t *conn);
/* The same, and the client sees a reset. */
void conn_reset(conn_t *conn);
/* No answer follows: shuts our side once all is written, drops what still comes, closes. */
void conn_end(conn_t *conn);
/* Parses bytes; spans are taken into them until it returns. */
void conn_feed(conn_t *conn, const char *bytes, size_t len);
/* Another state of reading; its time begins now. */
void conn_enter(conn_t *conn, read_state_t state);
/* Sends what is ready; then ends the connection, or settles it. */
void conn_go_on(conn_t *conn);
/* After anything that may change what the connection waits for: reading, deadline, end. */
void conn_settle(conn_t *conn);
/* The server drains: closes an idle connection. */
void conn_drain(conn_t *conn);

/* parse.c */
void parse_create(conn_t *conn);
/* Runs the parser over the bytes: ERR_OK when all are consumed or a whole request stands in conn->current, else what
   to refuse, with conn->detail. *len becomes what is left, *whole tells the two apart. */
int parse_run(conn_t *conn, const char **bytes, size_t *len, bool *whole);
/* The window ends within a request: saves what points into it. ERR_OK, or what to refuse, with conn->detail. */
int parse_pause(conn_t *conn);

/* head.c: the checks of a complete head, and target, path, query and host. ERR_OK, or what to refuse. */
int head_check(slot_t *slot, const llhttp_t *parser, const char **detail);

/* exchange.c */
slot_t *slot_take(conn_t *conn); /* NULL when out of memory */
/* ended (when dispatched), then back to the pool. */
void slot_release(slot_t *slot);
/* Frees one that is in the pool or was never used. */
void slot_discard(slot_t *slot);
/* Tells a dispatched, unanswered exchange that it has gone, then releases it. */
void slot_abandon(slot_t *slot);
/* Copies into the arena what points into the window. ERR_OK or ERR_NO_MEMORY. */
int slot_save(slot_t *slot);

/* answer.c */
/* One error in the place of the request being read; nothing after it is parsed. */
void exchange_refuse(conn_t *conn, int err, const char *detail);

/* output.c */
/* Hands all answers that are next in order to the socket; `ended` for each. */
void output_flush(conn_t *conn);

/* listener.c */
void net_conn_closed(net_t *net); /* a place is free */
void net_handle_closed(net_t *net);

#endif
