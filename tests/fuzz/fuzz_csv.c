/* fuzz_csv.c: any bytes, in pieces of any size: no crash, and the same records as in one piece. */
#include <stdint.h>
#include <stdlib.h>
#include "base/csv.h"
#include "base/ident.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct reading {
    ident_hash_t hash;
    size_t last_line;
} reading_t;

static void add_number(reading_t *reading, size_t number) {
    ident_hash_add(&reading->hash, (span_t){(const char *)&number, sizeof number});
}

static int on_record(
    void *data, size_t line, const span_t *fields, size_t nfields, const char *fault) {
    reading_t *reading = data;
    if (line <= reading->last_line || nfields > CSV_FIELDS_MAX || (fault && nfields)) abort();
    reading->last_line = line;
    add_number(reading, line);
    add_number(reading, nfields);
    for (size_t i = 0; i < nfields; i++) {
        add_number(reading, fields[i].len);
        ident_hash_add(&reading->hash, fields[i]);
    }
    return 0;
}

static void read_in_pieces(const uint8_t *data, size_t size, size_t piece, char digest[65]) {
    reading_t reading = {.last_line = 0};
    ident_hash_start(&reading.hash);
    csv_t *csv = csv_new(on_record, &reading);
    for (size_t at = 0; at < size; at += piece)
        csv_push(csv, (const char *)data + at, size - at < piece ? size - at : piece);
    csv_end(csv);
    csv_delete(csv);
    ident_hash_end(&reading.hash, digest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char whole[65], pieces[65];
    if (!size) return 0;
    read_in_pieces(data, size, size, whole);
    read_in_pieces(data, size, 1 + data[0] % 7, pieces);
    if (!span_eq((span_t){whole, 64}, (span_t){pieces, 64})) abort();
    return 0;
}
