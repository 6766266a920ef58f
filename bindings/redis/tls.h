/* tls.h: the TLS side of a connection to Redis: always verified, name and chain. */
#ifndef PERIGEE_REDIS_TLS_H
#define PERIGEE_REDIS_TLS_H
#include <openssl/types.h>
#include "redis/url.h"

/* For all connections of a URL; reads the files it names (blocking: at the start only). NULL with a sentence in why. */
SSL_CTX *redis_tls_new(const redis_url_t *url, char *why, size_t size);
void redis_tls_delete(SSL_CTX *tls);
/* For one connection whose certificate must be for this name or address; the caller frees it. NULL: no memory. */
SSL *redis_tls_session(SSL_CTX *tls, const char *name);
void redis_tls_free(SSL *session);
/* Goes on with the handshake: 1 done, 0 more to read, 2 more to write, -1 failed with a sentence in why. */
int redis_tls_handshake(SSL *session, char *why, size_t size);
/* Why a handshake failed, and forgets it. */
void redis_tls_explain(SSL *session, char *why, size_t size);
/* The error queue is the thread's and shared with every other user of OpenSSL; what lies there would be taken for this
   connection's. */
void redis_tls_forget_errors(void);
/* Whether decrypted bytes wait that no poll will tell of. */
bool redis_tls_pending(SSL *session);

#endif
