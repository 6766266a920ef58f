/* csv.h: a push parser for RFC 4180 CSV that names the line of every record and fault. */
#ifndef PERIGEE_BASE_CSV_H
#define PERIGEE_BASE_CSV_H
#include "base/bytes.h"

#define CSV_FIELD_MAX (1024 * 1024)
#define CSV_FIELDS_MAX 512
#define CSV_RECORD_MAX (4 * 1024 * 1024)

typedef struct csv csv_t;
/* A record: line is where it starts (1 for the first); fields live until the callback returns. fault is NULL, or a
   sentence on what is wrong with the record (then nfields is 0). Return 0 to go on. */
typedef int (*csv_cb)(
    void *data, size_t line, const span_t *fields, size_t nfields, const char *fault);

csv_t *csv_new(csv_cb cb, void *data); /* NULL when out of memory */
void csv_delete(csv_t *csv);
/* Takes the next bytes; a byte order mark at the start is skipped. 0, ERR_NO_MEMORY, or what cb returned. */
int csv_push(csv_t *csv, const char *bytes, size_t len);
/* The end of the input: hands over a last record without a line end, reports an open quote. */
int csv_end(csv_t *csv);

#endif
