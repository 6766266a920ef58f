/* url.h: what a Redis URL says. */
#ifndef PERIGEE_REDIS_URL_H
#define PERIGEE_REDIS_URL_H
#include "base/bytes.h"

#define REDIS_HOST_MAX 256
#define REDIS_ENDPOINTS_MAX 16

/* Where a server listens: a host name or address and a port, or a Unix socket's path with port 0. */
typedef struct redis_endpoint {
    char host[REDIS_HOST_MAX];
    int port;
} redis_endpoint_t;

typedef enum { REDIS_SINGLE, REDIS_CLUSTER, REDIS_SENTINEL } redis_kind_t;

/* redis://[[user]:password@]host[:port][/db]            one server; port 6379
   unix://[[user]:password@]/path/to/socket[?db=n]       one server on this machine
   redis+cluster://[…@]host[:port],host[:port],…         any nodes of a Cluster; no database number
   redis+sentinel://[…@]host[:port],…/master[/db]        Sentinels (port 26379) and the name they know the master by
   rediss, rediss+cluster, rediss+sentinel               the same with TLS, always verified
   IPv6 addresses stand in brackets. User, password, path and options are percent-decoded. Options after "?":
   db=n, ca=FILE (instead of the system's), cert=FILE and key=FILE (the client's), name=NAME (in the certificate,
   instead of the host's), resp=2 (do not try RESP3), replicas=yes (reads that allow it go to replicas), sentinel_user
   and sentinel_password (for the Sentinels; without them none are sent there). */
typedef struct redis_url {
    redis_kind_t kind;
    bool tls, resp2, replicas;
    redis_endpoint_t at[REDIS_ENDPOINTS_MAX];
    size_t count;
    int db;
    char user[128], password[512]; /* empty: none */
    char sentinel_user[128], sentinel_password[512];
    char master[128];
    char ca[512], cert[512], key[512], name[REDIS_HOST_MAX];
} redis_url_t;

/* Fills *url; ERR_INVALID with a sentence in why that repeats nothing of the text, which may hold a password. */
int redis_url_parse(span_t text, redis_url_t *url, char *why, size_t size);
/* Overwrites the secrets. */
void redis_url_wipe(redis_url_t *url);
/* "host:port" or the path; for logs and error details. */
void redis_endpoint_text(const redis_endpoint_t *at, char *out, size_t size);
bool redis_endpoint_eq(const redis_endpoint_t *a, const redis_endpoint_t *b);

#endif
