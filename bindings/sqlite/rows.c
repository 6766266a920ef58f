/* rows.c: packs cells into one buffer and reads them back, so that a result crosses threads in one allocation. */
#include "sqlite/rows.h"

void cell_put(buf_t *buf, const cell_t *cell) {
    uint32_t len;
    buf_char(buf, (char)cell->kind);
    switch (cell->kind) {
    case CELL_NULL:
        break;
    case CELL_INT:
        buf_put(buf, &cell->integer, sizeof cell->integer);
        break;
    case CELL_FLOAT:
        buf_put(buf, &cell->number, sizeof cell->number);
        break;
    case CELL_TEXT:
        len = (uint32_t)cell->text.len; /* SQLite's own limit is below 2^31 */
        buf_put(buf, &len, sizeof len);
        buf_span(buf, cell->text);
        break;
    }
}

static void take(const buf_t *buf, size_t *at, void *out, size_t len) {
    memcpy(out, buf->ptr + *at, len);
    *at += len;
}

void cell_read(const buf_t *buf, size_t *at, cell_t *out) {
    uint32_t len;
    out->kind = (cell_kind_t)buf->ptr[(*at)++];
    switch (out->kind) {
    case CELL_NULL:
        break;
    case CELL_INT:
        take(buf, at, &out->integer, sizeof out->integer);
        break;
    case CELL_FLOAT:
        take(buf, at, &out->number, sizeof out->number);
        break;
    case CELL_TEXT:
        take(buf, at, &len, sizeof len);
        out->text = (span_t){buf->ptr + *at, len};
        *at += len;
        break;
    }
}
