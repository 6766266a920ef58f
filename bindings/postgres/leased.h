/* leased.h: a connection in a script's hands, and the transaction on it. */
#ifndef PERIGEE_POSTGRES_LEASED_H
#define PERIGEE_POSTGRES_LEASED_H
#include "lua/holder.h"
#include "postgres/postgres.h"
#include "postgres/waited.h"

#define LEASED_KIND "perigee.postgres.connection"

typedef struct leased {
    holder_t holder;
    char
        *begin; /* owed: the statement that begins a transaction is sent with the first one in it */
    waited_t waited;            /* of the transaction */
    struct stream *rows;        /* rows that a script still reads from it, or NULL */
    char name[WAITED_NAME_MAX]; /* the transaction's */
    char tenant[];
} leased_t;

static inline leased_t *leased_ref(leased_t *leased) {
    holder_ref(&leased->holder);
    return leased;
}
/* NULL is none. */
static inline void leased_drop(leased_t *leased) {
    if (leased) holder_drop(&leased->holder);
}
/* With one reference, for holder_wait. NULL when out of memory. */
leased_t *leased_new(postgres_t *postgres, span_t tenant);
/* A transaction begins with the next statement: `sql` is sent in front of it. 0 or ERR_NO_MEMORY. */
int leased_begin(leased_t *leased, const char *sql, const char *name);
/* Submits; the transaction that is owed is the query's first statement. 0 or an error. */
int leased_submit(leased_t *leased, postgres_query_t *query);
int leased_copy(leased_t *leased, postgres_copy_t *copy); /* no transaction may be owed */
/* What leased_submit or leased_copy has begun is done. */
static inline void leased_done(leased_t *leased) {
    waited_rest(&leased->waited);
}

#endif
