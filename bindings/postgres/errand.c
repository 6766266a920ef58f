/* errand.c: a slow query on a lease of its own, so that nothing waits behind it. */
#include <stdlib.h>
#include "base/err.h"
#include "postgres/errand.h"

static void run_it(postgres_query_t *query);

/* It is not sent twice, as it may have run for long, unless it has not run at all. */
static void on_settled(postgres_query_t *query) {
    if (query->verdict != POSTGRES_STALE || query->hops || query->postgres->closing) {
        postgres_finish(query);
        return;
    }
    postgres_again(query);
    run_it(query);
}

static void run_it(postgres_query_t *query) {
    postgres_link_t *link = postgres_lease_link(&query->errand->lease);
    int err = link ? postgres_link_send(link, query) : ERR_UNAVAILABLE;
    if (err)
        postgres_finish_later(query, err, err_text(err));
    else
        postgres_link_flush_later(link);
}

static void on_got(lease_t *lease) {
    postgres_errand_t *errand = lease->data;
    postgres_query_t *query = errand->query;
    if (lease->err)
        postgres_finish_later(query, lease->err, lease->detail);
    else
        run_it(query);
}

int postgres_errand_start(postgres_query_t *query) {
    postgres_errand_t *errand = calloc(1, sizeof *errand);
    if (!errand) return ERR_NO_MEMORY;
    errand->query = query;
    errand->lease = (lease_t){
        .tenant = query->tenant, .deadline_ms = query->until_ms, .got = on_got, .data = errand};
    int err = postgres_lease(query->postgres, &errand->lease);
    if (err) {
        free(errand);
        return err;
    }
    query->errand = errand;
    query->settle = on_settled;
    return 0;
}
