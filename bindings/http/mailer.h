/* mailer.h: letters to the mail server, one connection each, on threads of their own. */
#ifndef PERIGEE_HTTP_MAILER_H
#define PERIGEE_HTTP_MAILER_H
#include <curl/curl.h>
#include <stdatomic.h>
#include "base/threads.h"
#include "http/mail.h"
#include "http/mail_server.h"

typedef struct mailer mailer_t;

#define LETTER_SOCKETS 4 /* one for each address that is tried at the same time */

/* The submitter clears the memory and fills these; it owns what they point to and keeps all until `done`. */
typedef struct letter letter_t;
struct letter {
    mail_t mail;
    uint64_t timeout_ms; /* for all of it, waiting for its turn included */
    void (*done)(letter_t *letter);

    /* The result. ERR_UNPROCESSABLE: the server never takes this letter; ERR_DENIED: it wants other credentials;
       ERR_TIMEOUT, ERR_UNAVAILABLE: it may take it later, or has taken it and could not say so. */
    int err;
    char detail[CURL_ERROR_SIZE];

    /* The driver's. */
    mailer_t *mailer;
    work_t work;
    list_t node;
    buf_t message;
    size_t sent;
    uint64_t until_ns;
    atomic_bool cancelled;
    curl_socket_t sockets[LETTER_SOCKETS]; /* open, or CURL_SOCKET_BAD */
};

/* Costs nothing until the first letter. Keeps a copy of `server`. Closes itself when the loop is deleted, within a
   second: every letter then ends with ERR_CLOSED. NULL when out of memory. */
mailer_t *mailer_new(loop_t *loop, const mail_server_t *server);
/* 0, and `done` follows exactly once, from the loop, never inside this call. ERR_INVALID (see letter->detail),
   ERR_BUSY, ERR_NO_MEMORY; then `done` is not called. */
int mailer_send(mailer_t *mailer, letter_t *letter);
/* Lets go: `done` follows within a second with ERR_CANCELLED, unless the letter is through already. */
void mailer_cancel(letter_t *letter);

#endif
