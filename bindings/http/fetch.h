/* fetch.h: one HTTP request and what came back. */
#ifndef PERIGEE_HTTP_FETCH_H
#define PERIGEE_HTTP_FETCH_H
#include "base/bytes.h"
#include "base/loop.h"
#include "http/late.h"

#define FETCH_REDIRECTS_MAX 5
#define FETCH_URL_MAX 8192
#define FETCH_HEAD_MAX (64 * 1024) /* bytes of an answer's headers */

typedef struct fetch_header {
    const char *name, *value;
} fetch_header_t;

typedef struct client client_t;
typedef struct fetch fetch_t;
struct fetch {
    /* The submitter clears the memory and fills these; it owns what they point to and keeps all until `done`. */
    const char *method; /* upper case: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS */
    const char *url;    /* http:// or https:// */
    const fetch_header_t *headers;
    size_t nheaders;
    span_t body; /* sent when has_body */
    bool has_body;
    bool allow_private; /* may connect to private addresses (address.h) */
    int redirects;    /* most redirects to follow, 0..5; other than 0 only for GET, HEAD and POST */
    size_t max_bytes; /* most bytes of the answer's body */
    uint64_t timeout_ms; /* for all of it, waiting for its turn included */
    void (*done)(fetch_t *fetch);

    /* The result: err with a sentence, or a status; head and answer belong to the submitter (fetch_clear). */
    int err;
    char detail[CURL_ERROR_SIZE];
    int status;
    buf_t head; /* see fetch_header_next */
    buf_t answer;

    /* The driver's. */
    client_t *client;
    list_t node;
    deadline_t deadline;
    deferred_t ended;
    const late_t *late;
    CURL *easy;
    struct curl_slist *lines;
    int fault;    /* what a callback saw before curl ends the transfer */
    bool refused; /* a private address */
};

/* 0, or ERR_INVALID with a sentence in fetch->detail: method, URL scheme, header names and values, redirects. */
int fetch_check(fetch_t *fetch);
/* Makes the transfer; ERR_NO_MEMORY. Nothing is sent yet. */
int fetch_prepare(fetch_t *fetch, const late_t *late);
/* Reads what came of it into err, detail and status. */
void fetch_conclude(fetch_t *fetch, CURLcode code);
/* Frees the transfer; it is in no multi any more. */
void fetch_release(fetch_t *fetch);
/* Frees the result. */
void fetch_clear(fetch_t *fetch);
/* Walks the answer's headers, names in lower case, repeated ones as they came: start with *at = 0; false at the end. */
bool fetch_header_next(const fetch_t *fetch, size_t *at, span_t *name, span_t *value);

#endif
