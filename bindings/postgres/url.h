/* url.h: what a PostgreSQL URL says: the hosts, and what libpq is told beside them. */
#ifndef PERIGEE_POSTGRES_URL_H
#define PERIGEE_POSTGRES_URL_H
#include <libpq-fe.h>
#include "base/bytes.h"

#define POSTGRES_HOST_MAX 256
#define POSTGRES_HOSTS_MAX 16
#define POSTGRES_KEYWORDS_MAX 64

typedef struct postgres_host {
    char name
        [POSTGRES_HOST_MAX]; /* a name, an address or a socket's folder; empty: libpq's default folder */
    char address[POSTGRES_HOST_MAX]; /* hostaddr: no lookup is needed; empty: none was given */
    char port[8];                    /* empty: libpq's default */
} postgres_host_t;

typedef struct postgres_url {
    postgres_host_t hosts[POSTGRES_HOSTS_MAX];
    int count;
    int last;         /* where a connection was last made: tried first */
    bool prepare;     /* statements may be prepared */
    char session[20]; /* target_session_attrs */
    bool session_given;
    /* libpq's other parameters; values point into `parsed`. */
    const char *keywords[POSTGRES_KEYWORDS_MAX], *values[POSTGRES_KEYWORDS_MAX];
    int parameters;
    PQconninfoOption *parsed;
} postgres_url_t;

/* Fills *url; ERR_INVALID with a sentence in why that repeats no value of the text, which may hold a password. */
int postgres_url_parse(span_t text, postgres_url_t *url, char *why, size_t size);
/* Overwrites the secrets and frees. */
void postgres_url_wipe(postgres_url_t *url);
/* "host:port" or the socket's folder; for logs. */
void postgres_host_text(const postgres_host_t *host, char *out, size_t size);
/* Whether a connection must be to a server that takes writes. */
bool postgres_url_writes(const postgres_url_t *url);

#endif
