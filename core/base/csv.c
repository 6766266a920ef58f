/* csv.c: the states of RFC 4180, one byte at a time, with runs of plain bytes copied at once. */
#include "base/csv.h"
#include <stdlib.h>
#include "base/err.h"

typedef enum { AT_START, PLAIN, QUOTED, QUOTE_IN_QUOTED } csv_state_t;

struct csv {
    csv_cb cb;
    void *data;
    csv_state_t state;
    buf_t bytes;    /* of the record, the fields one behind the other */
    size_t *ends;   /* where each finished field ends in bytes */
    span_t *fields; /* the same as spans, made when the record is complete */
    size_t nfields;
    size_t line, record_line;
    const char *fault; /* of the record so far; the rest of it is then skipped */
    bool any;          /* the record has begun */
    bool after_cr;
    int bom; /* bytes of the byte order mark seen so far; -1 once the start is past */
};

csv_t *csv_new(csv_cb cb, void *data) {
    csv_t *csv = calloc(1, sizeof *csv);
    if (!csv) return NULL;
    csv->cb = cb;
    csv->data = data;
    csv->line = csv->record_line = 1;
    csv->ends = malloc(CSV_FIELDS_MAX * sizeof *csv->ends);
    csv->fields = malloc(CSV_FIELDS_MAX * sizeof *csv->fields);
    if (csv->ends && csv->fields) return csv;
    csv_delete(csv);
    return NULL;
}

void csv_delete(csv_t *csv) {
    if (!csv) return;
    buf_destroy(&csv->bytes);
    free(csv->ends);
    free(csv->fields);
    free(csv);
}

static void set_fault(csv_t *csv, const char *fault) {
    if (!csv->fault) csv->fault = fault;
}

static void put(csv_t *csv, const char *bytes, size_t len) {
    size_t start = csv->nfields ? csv->ends[csv->nfields - 1] : 0;
    if (csv->fault) return;
    if (csv->bytes.len - start + len > CSV_FIELD_MAX)
        set_fault(csv, "a field is larger than 1 MB");
    else if (csv->bytes.len + len > CSV_RECORD_MAX)
        set_fault(csv, "the record is larger than 4 MB");
    else
        buf_put(&csv->bytes, bytes, len);
}

static void end_field(csv_t *csv) {
    csv->state = AT_START;
    if (csv->nfields == CSV_FIELDS_MAX)
        set_fault(csv, "the record has more than 512 fields");
    else
        csv->ends[csv->nfields++] = csv->bytes.len;
}

static int hand_over(csv_t *csv) {
    if (csv->bytes.failed) return ERR_NO_MEMORY;
    if (csv->fault) return csv->cb(csv->data, csv->record_line, NULL, 0, csv->fault);
    size_t start = 0;
    for (size_t i = 0; i < csv->nfields; i++) {
        csv->fields[i] =
            (span_t){csv->bytes.ptr ? csv->bytes.ptr + start : "", csv->ends[i] - start};
        start = csv->ends[i];
    }
    return csv->cb(csv->data, csv->record_line, csv->fields, csv->nfields, NULL);
}

/* An empty line is no record. */
static int end_record(csv_t *csv) {
    int err = 0;
    if (csv->any) {
        end_field(csv);
        err = hand_over(csv);
    }
    buf_reset(&csv->bytes);
    csv->nfields = 0;
    csv->fault = NULL;
    csv->any = false;
    csv->state = AT_START;
    return err;
}

/* CR, LF and CRLF end a line, inside quotes too. */
static void count_line(csv_t *csv, char c) {
    if (c == '\r' || (c == '\n' && !csv->after_cr)) csv->line++;
    csv->after_cr = c == '\r';
}

static int take_unquoted(csv_t *csv, char c) {
    if (c == '\r' || c == '\n') {
        int err = end_record(csv);
        csv->record_line = csv->line;
        return err;
    }
    csv->any = true;
    if (c == ',')
        end_field(csv);
    else if (c == '"' && csv->state == AT_START)
        csv->state = QUOTED;
    else if (c == '"' && csv->state == PLAIN)
        set_fault(csv, "a quote inside a field that does not start with one");
    else if (c == '"') {
        csv->state = QUOTED;
        put(csv, "\"", 1);
    } else {
        if (csv->state == QUOTE_IN_QUOTED) set_fault(csv, "text behind the closing quote");
        csv->state = PLAIN;
        put(csv, &c, 1);
    }
    return 0;
}

static int take_byte(csv_t *csv, char c) {
    count_line(csv, c);
    if (csv->state != QUOTED) return take_unquoted(csv, c);
    if (c == '"')
        csv->state = QUOTE_IN_QUOTED;
    else
        put(csv, &c, 1);
    return 0;
}

/* How many bytes from here mean nothing but themselves. */
static size_t plain_run(const csv_t *csv, const char *bytes, size_t len) {
    size_t run = 0;
    if (csv->state != PLAIN && csv->state != QUOTED) return 0;
    while (run < len && bytes[run] != '"' && bytes[run] != '\n' && bytes[run] != '\r' &&
           (csv->state == QUOTED || bytes[run] != ','))
        run++;
    return run;
}

static int take_bytes(csv_t *csv, const char *bytes, size_t len) {
    for (size_t at = 0; at < len;) {
        size_t run = plain_run(csv, bytes + at, len - at);
        if (run) {
            csv->after_cr = false;
            put(csv, bytes + at, run);
            at += run;
            continue;
        }
        int err = take_byte(csv, bytes[at++]);
        if (err) return err;
    }
    return 0;
}

static const char mark[] = "\xEF\xBB\xBF";

/* Bytes that began like a mark and turned out not to be one. */
static int give_back_mark(csv_t *csv) {
    int seen = csv->bom;
    csv->bom = -1;
    return seen > 0 && seen < 3 ? take_bytes(csv, mark, (size_t)seen) : 0;
}

int csv_push(csv_t *csv, const char *bytes, size_t len) {
    while (csv->bom >= 0 && len) {
        if (csv->bom < 3 && *bytes == mark[csv->bom]) {
            csv->bom++;
            bytes++, len--;
            continue;
        }
        int err = give_back_mark(csv);
        if (err) return err;
    }
    int err = take_bytes(csv, bytes, len);
    return err ? err : csv->bytes.failed ? ERR_NO_MEMORY : 0;
}

int csv_end(csv_t *csv) {
    int err = give_back_mark(csv);
    if (err) return err;
    if (csv->state == QUOTED) {
        csv->fault = "the quote that opens a field is never closed";
        csv->any = true;
    }
    return end_record(csv);
}
