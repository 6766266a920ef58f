/* fault.h: what the server says about a failure. */
#ifndef PERIGEE_POSTGRES_FAULT_H
#define PERIGEE_POSTGRES_FAULT_H
#include "postgres/postgres.h"

typedef struct postgres_fault {
    int err;
    char detail[POSTGRES_DETAIL_MAX];
    char sqlstate[6];
    char constraint[POSTGRES_NAME_MAX], table[POSTGRES_NAME_MAX], column[POSTGRES_NAME_MAX];
    bool fatal; /* the connection ends with it */
} postgres_fault_t;

void postgres_fault_read(const PGresult *result, postgres_fault_t *fault);
/* The error of err.h for an SQLSTATE. */
int postgres_fault_err(const char *sqlstate);
/* The first line, without its end. */
void postgres_sentence(char *out, size_t size, const char *text);

#endif
