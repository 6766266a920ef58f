/* intake.h: how much of an answer has come in while it is not whole: libpq gathers a result before it shows it. */
#ifndef PERIGEE_POSTGRES_INTAKE_H
#define PERIGEE_POSTGRES_INTAKE_H
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct postgres_intake {
    size_t bytes; /* at least so many; never more than came */
    int reads;
} postgres_intake_t;

/* PQconsumeInput, counted. False: the connection has broken. */
bool postgres_intake_read(postgres_intake_t *intake, PGconn *conn);
/* What has come so far has been taken. */
void postgres_intake_clear(postgres_intake_t *intake);

#endif
