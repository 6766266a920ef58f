/* array.h: the server's text form of arrays, read piece by piece and written: braces, quotes, backslashes and NULL. */
#ifndef PERIGEE_POSTGRES_ARRAY_H
#define PERIGEE_POSTGRES_ARRAY_H
#include "base/bytes.h"

#define ARRAY_DEPTH 6 /* the server's own limit */

typedef enum {
    ARRAY_OPEN, /* the array begins, or a dimension inside of it */
    ARRAY_CLOSE,
    ARRAY_ITEM, /* its text is in `text` until the next piece */
    ARRAY_NULL,
    ARRAY_END, /* the text ends where the array does */
    ARRAY_BAD
} array_piece_t;

typedef struct array {
    const char *at, *end;
    char *scratch;
    int depth;
    bool first; /* no item has come since the brace: so no comma comes */
    bool whole; /* the outermost brace has been closed */
    span_t text;
} array_t;

/* scratch has room for the text; both outlive the reading. */
void array_begin(array_t *array, span_t text, char *scratch);
array_piece_t array_next(array_t *array);

/* Appends an item's text in quotes, or bytes as a bytea's text in quotes. */
void array_put(buf_t *out, span_t text);
void array_put_bytes(buf_t *out, span_t bytes);

#endif
