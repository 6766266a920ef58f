/* leased.c: keeps the account of the transactions on a connection that a script holds. */
#include "postgres/leased.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"

static leased_t *leased_of(holder_t *holder) {
    return LIST_OWNER(holder, leased_t, holder);
}

static int begin(holder_t *holder) {
    return postgres_lease(holder->engine, &holder->lease);
}

static void ending(holder_t *holder) {
    leased_t *leased = leased_of(holder);
    waited_close(&leased->waited);
    leased->waited.task = NULL;
    free(leased->begin);
    leased->begin = NULL;
}

static const holder_ops_t OPS = {LEASED_KIND, "postgres.lease", begin, ending};

leased_t *leased_new(postgres_t *postgres, span_t tenant) {
    leased_t *leased = calloc(1, sizeof *leased + tenant.len + 1);
    if (!leased) return NULL;
    holder_create(&leased->holder, &OPS, postgres);
    if (tenant.len) memcpy(leased->tenant, tenant.ptr, tenant.len);
    leased->holder.lease.tenant = (span_t){leased->tenant, tenant.len};
    return leased;
}

int leased_begin(leased_t *leased, const char *sql, const char *name) {
    free(leased->begin);
    leased->begin = strdup(sql);
    snprintf(leased->name, sizeof leased->name, "%s", name);
    return leased->begin ? 0 : ERR_NO_MEMORY;
}

int leased_submit(leased_t *leased, postgres_query_t *query) {
    bool begins = leased->begin != NULL;
    if (!leased->holder.held) return ERR_CLOSED;
    if (begins || !leased->waited.open) query->tenant = leased->holder.lease.tenant;
    int err = postgres_lease_submit(&leased->holder.lease, query);
    if (err) return err;
    if (begins) {
        free(leased->begin);
        leased->begin = NULL;
        waited_open(&leased->waited, leased->name, leased->holder.task);
    }
    waited_work(&leased->waited);
    return 0;
}

int leased_copy(leased_t *leased, postgres_copy_t *copy) {
    int err = leased->holder.held ? postgres_copy(&leased->holder.lease, copy) : ERR_CLOSED;
    if (!err) waited_work(&leased->waited);
    return err;
}
