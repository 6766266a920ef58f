/* prepared.h: the statements that one connection has prepared, the least used forgotten first. */
#ifndef PERIGEE_POSTGRES_PREPARED_H
#define PERIGEE_POSTGRES_PREPARED_H
#include "base/list.h"
#include "base/map.h"
#include "postgres/postgres.h"

#define POSTGRES_PREPARED_MAX 200
#define POSTGRES_PREPARED_NAME_MAX 24

typedef enum {
    PREPARED_NEW,  /* the server does not know it */
    PREPARED_SENT, /* on its way */
    PREPARED_READY
} prepared_state_t;

typedef struct postgres_prepared {
    list_t node;
    prepared_state_t state;
    uint64_t number; /* of its name */
    char name[POSTGRES_PREPARED_NAME_MAX];
    span_t key;
} postgres_prepared_t;

typedef struct postgres_statements {
    map_t entries;
    list_t used;   /* least lately first */
    list_t doomed; /* to be closed on the server */
    uint64_t count;
    buf_t key;
} postgres_statements_t;

void postgres_statements_create(postgres_statements_t *all);
void postgres_statements_destroy(postgres_statements_t *all);
/* The entry of a statement with these types of parameters, made if need be. NULL: not to be prepared (neither a query
   nor a change of rows, or very long), or no room for it now, or no memory. */
postgres_prepared_t *postgres_statements_find(
    postgres_statements_t *all, const postgres_statement_t *statement);
/* The entry of this number, or NULL. */
postgres_prepared_t *postgres_statements_by_number(
    const postgres_statements_t *all, uint64_t number);
/* The entry is of no use any more; it must not be on its way. on_server: it is closed there later. */
void postgres_statements_drop(
    postgres_statements_t *all, postgres_prepared_t *entry, bool on_server);
/* The next to be closed on the server, into *number. */
bool postgres_statements_doomed(postgres_statements_t *all, uint64_t *number);
/* The server has forgotten all; nothing may be on its way. */
void postgres_statements_clear(postgres_statements_t *all);

void postgres_prepared_name(uint64_t number, char *out);

#endif
