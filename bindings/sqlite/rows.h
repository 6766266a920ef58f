/* rows.h: the rows of one statement, packed on the worker thread and read back on the loop. */
#ifndef PERIGEE_SQLITE_ROWS_H
#define PERIGEE_SQLITE_ROWS_H
#include "base/bytes.h"

typedef enum { CELL_NULL, CELL_INT, CELL_FLOAT, CELL_TEXT } cell_kind_t;
typedef struct cell {
    cell_kind_t kind;
    union {
        int64_t integer;
        double number;
        span_t text; /* text and blobs; points into the buffer that was read */
    };
} cell_t;

/* Appends one cell: a byte for the kind, then 8 bytes, or a length and the bytes, or nothing. */
void cell_put(buf_t *buf, const cell_t *cell);
/* Reads the cell at *at and moves behind it. The buffer is one that cell_put filled. */
void cell_read(const buf_t *buf, size_t *at, cell_t *out);

#endif
