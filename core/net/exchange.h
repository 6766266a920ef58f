/* exchange.h: one request and its answer on a connection, as the rest of the server sees it. */
#ifndef PERIGEE_NET_EXCHANGE_H
#define PERIGEE_NET_EXCHANGE_H
#include "base/arena.h"
#include "base/bytes.h"
#include "base/loop.h"

typedef enum {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER
} method_t;

typedef struct header {
    span_t name, value; /* the name as sent; compare with span_ieq */
} header_t;

typedef struct conn conn_t;
typedef struct exchange exchange_t;

/* Spans point into the read buffer until exchange_keep, then into the arena. They live until the exchange ends. */
struct exchange {
    conn_t *conn;
    loop_t *loop;
    arena_t arena; /* destroyed when the exchange has ended; register goodbyes here */
    method_t method;
    span_t method_text;
    span_t target;     /* as sent */
    span_t host;       /* Host, or the target's authority; without the port, lower case */
    span_t path;       /* origin-form, percent-encoded as sent, without the query */
    span_t query;      /* without the '?'; empty when there is none */
    header_t *headers; /* in order of arrival */
    size_t nheaders;
    span_t body;
    int minor;           /* HTTP/1.minor */
    uint64_t started_ns; /* clock_mono_ns when its first byte was read */
    char peer[46];       /* textual address of the socket's other end */
    bool kept;           /* exchange_keep was called */
    bool answered;
    int status;  /* after the answer */
    size_t sent; /* bytes of the answer, head included */
    void *user;  /* the joiner's */
};

/* What the joiner hands to the net room. None of the callbacks may delete the connection. */
typedef struct exchange_ops {
    /* A whole request. Answer now or later; when not answered on return, the net room calls exchange_keep itself. */
    void (*request)(void *data, exchange_t *exchange);
    /* The client left before the answer (reset, or the server closes). The exchange ends after this call; do not
       answer. */
    void (*gone)(void *data, exchange_t *exchange);
    /* The answer has been handed to the socket, or the exchange has gone: the last look before the arena goes. */
    void (*ended)(void *data, exchange_t *exchange);
    /* The largest body this head may carry, in bytes; 0 for none; called when the
       head is complete and announces one. */
    size_t (*body_limit)(void *data, const exchange_t *exchange);
    /* A request that the net room refused itself (a parse error, a limit): writes the whole answer for the error into
       out with buf functions as `exchange_refuse` expects: media type in *type, body in body. */
    void (*problem)(void *data, int err, const char *detail, buf_t *body, const char **type);
    void *data;
} exchange_ops_t;

/* The header's first value (case ignored), or an empty span with ptr NULL. */
span_t exchange_header(const exchange_t *exchange, span_t name);
/* Copies all spans into the arena, so that they outlive the read callback. 0 or ERR_NO_MEMORY. */
int exchange_keep(exchange_t *exchange);

typedef struct answer {
    int status;
    span_t type; /* Content-Type; empty for none */
    span_t
        headers; /* ready lines, each ending in CRLF; may be empty. The caller has checked them for CR, LF and NUL */
    span_t body; /* copied or sent before the call returns */
    bool close;  /* close the connection afterwards */
} answer_t;
/* Answers once. Puts status line, Date, Content-Length (also for HEAD, without the body; none for 204 and 304),
   Connection when needed. From a `request` callback or from any later turn. After it, only `ended` sees the
   exchange. */
void exchange_answer(exchange_t *exchange, const answer_t *answer);
/* The status line's reason phrase, "" when unknown. */
const char *exchange_reason(int status);

#endif
