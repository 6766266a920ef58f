/* leased.h: a connection in a script's hands, and the transaction on it; goes back with the script's request. */
#ifndef PERIGEE_POSTGRES_LEASED_H
#define PERIGEE_POSTGRES_LEASED_H
#include "lua/task.h"
#include "postgres/postgres.h"
#include "postgres/waited.h"

/* Counted: the script's handle, and each operation under way on it. */
typedef struct leased {
    postgres_t *postgres;
    postgres_lease_t lease;
    task_bond_t bond;
    const task_t *task; /* the request; NULL once it has ended */
    int refs;
    bool held; /* postgres_lease has begun and postgres_lease_end has not come */
    char
        *begin; /* owed: the statement that begins a transaction is sent with the first one in it */
    waited_t waited;            /* of the transaction */
    struct stream *rows;        /* rows that a script still reads from it, or NULL */
    char name[WAITED_NAME_MAX]; /* the transaction's */
    char tenant[];
} leased_t;

/* With one reference, not yet held. NULL when out of memory. */
leased_t *leased_new(postgres_t *postgres, span_t tenant);
void leased_drop(leased_t *leased);
static inline leased_t *leased_ref(leased_t *leased) {
    leased->refs++;
    return leased;
}
/* Asks for the connection; `got` and `data` are the lease's. It goes back at the end of L's request at the latest. 0 or
   an error. */
int leased_get(leased_t *leased, lua_State *L, void (*got)(postgres_lease_t *lease), void *data);
/* Gives the connection back: unless clean, what is open on it is rolled back. */
void leased_end(leased_t *leased, bool clean);
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
