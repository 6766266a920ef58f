/* ident.h: UUIDv7 ids, random tokens and SHA-256 digests as text. */
#ifndef PERIGEE_BASE_IDENT_H
#define PERIGEE_BASE_IDENT_H
#include "base/bytes.h"

/* UUIDv7 (RFC 9562), monotonic within the process; 36 characters and a NUL. */
void ident_uuid(char out[37]);
bool ident_is_uuid(span_t text);
/* n random bytes as URL-safe base64 without padding; out has room for (n * 4 + 2) / 3 + 1. */
void ident_token(char *out, size_t n);
/* Lower-case hexadecimal SHA-256, 64 characters and a NUL. */
void ident_sha256(span_t text, char out[65]);
/* Of several parts: feed them one after another. */
typedef struct ident_hash {
    _Alignas(16) unsigned char state[128];
} ident_hash_t;
void ident_hash_start(ident_hash_t *hash);
void ident_hash_add(ident_hash_t *hash, span_t part);
void ident_hash_end(ident_hash_t *hash, char out[65]);

#endif
