/* fault.c: what the server says about a failure, as an error with SQLSTATE and the names of what it hit. */
#include "postgres/fault.h"
#include <stdio.h>
#include "base/err.h"

typedef struct meaning {
    const char *prefix;
    int err;
} meaning_t;

/* The first that fits. */
static const meaning_t MEANINGS[] = {
    {"23505", ERR_CONFLICT},    /* unique */
    {"23P01", ERR_CONFLICT},    /* exclusion */
    {"40", ERR_CONFLICT},       /* serialization failure, deadlock */
    {"55P03", ERR_CONFLICT},    /* a lock that was not to be waited for */
    {"57014", ERR_TIMEOUT},     /* the server's own limit, or a cancel */
    {"25P03", ERR_UNAVAILABLE}, /* idle in a transaction for too long */
    {"25006", ERR_UNAVAILABLE}, /* a standby, or a primary that has become one */
    {"42501", ERR_DENIED},
    {"25", ERR_INVALID},
    {"21", ERR_INVALID},
    {"22", ERR_INVALID},
    {"23", ERR_INVALID},
    {"2B", ERR_INVALID},
    {"42", ERR_INVALID},
    {"44", ERR_INVALID},
    {"P0", ERR_INVALID}, /* raised by a function */
    {"0A", ERR_INVALID},
    {"08P01", ERR_INVALID}, /* another number of parameters than the statement has */
    {"08", ERR_UNAVAILABLE},
    {"28", ERR_UNAVAILABLE},
    {"3D", ERR_UNAVAILABLE},
    {"53", ERR_UNAVAILABLE},
    {"57", ERR_UNAVAILABLE},
    {"58", ERR_UNAVAILABLE},
};

int postgres_fault_err(const char *sqlstate) {
    for (size_t i = 0; i < sizeof MEANINGS / sizeof *MEANINGS; i++)
        if (strncmp(sqlstate, MEANINGS[i].prefix, strlen(MEANINGS[i].prefix)) == 0)
            return MEANINGS[i].err;
    return ERR_INTERNAL;
}

void postgres_sentence(char *out, size_t size, const char *text) {
    snprintf(out, size, "%.*s", text ? (int)strcspn(text, "\n") : 0, text ? text : "");
}

static const char *field(const PGresult *result, int code) {
    const char *text = PQresultErrorField(result, code);
    return text ? text : "";
}

static void put_name(char out[POSTGRES_NAME_MAX], const PGresult *result, int code) {
    snprintf(out, POSTGRES_NAME_MAX, "%s", field(result, code));
}

/* In English; pgbouncer has only the field that a server translates. */
static const char *severity_of(const PGresult *result) {
    const char *severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity[0] ? severity : field(result, PG_DIAG_SEVERITY);
}

void postgres_fault_read(const PGresult *result, postgres_fault_t *fault) {
    const char *severity = severity_of(result);
    const char *sentence = field(result, PG_DIAG_MESSAGE_PRIMARY);
    *fault = (postgres_fault_t){0};
    snprintf(fault->sqlstate, sizeof fault->sqlstate, "%s", field(result, PG_DIAG_SQLSTATE));
    put_name(fault->constraint, result, PG_DIAG_CONSTRAINT_NAME);
    put_name(fault->table, result, PG_DIAG_TABLE_NAME);
    put_name(fault->column, result, PG_DIAG_COLUMN_NAME);
    postgres_sentence(
        fault->detail, sizeof fault->detail, sentence[0] ? sentence : PQresultErrorMessage(result));
    fault->fatal = strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
    fault->err = postgres_fault_err(fault->sqlstate);
}
