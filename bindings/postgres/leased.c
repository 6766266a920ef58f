/* leased.c: gets a connection, keeps its account of transactions, and gives it back whatever becomes of the script. */
#include "postgres/leased.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"

static void on_task_ended(task_bond_t *bond) {
    leased_end(LIST_OWNER(bond, leased_t, bond), false);
}

leased_t *leased_new(postgres_t *postgres, span_t tenant) {
    leased_t *leased = calloc(1, sizeof *leased + tenant.len + 1);
    if (!leased) return NULL;
    leased->postgres = postgres;
    leased->refs = 1;
    leased->bond.ended = on_task_ended;
    list_init(&leased->bond.node);
    if (tenant.len) memcpy(leased->tenant, tenant.ptr, tenant.len);
    leased->lease.tenant = (span_t){leased->tenant, tenant.len};
    return leased;
}

void leased_drop(leased_t *leased) {
    if (!leased || --leased->refs) return;
    leased_end(leased, false);
    free(leased);
}

int leased_get(leased_t *leased, lua_State *L, void (*got)(postgres_lease_t *lease), void *data) {
    leased->lease.got = got;
    leased->lease.data = data;
    int err = postgres_lease(leased->postgres, &leased->lease);
    leased->held = err == 0;
    if (!err) leased->task = task_bind(L, &leased->bond);
    return err;
}

void leased_end(leased_t *leased, bool clean) {
    task_unbind(&leased->bond);
    waited_close(&leased->waited);
    leased->waited.task = leased->task = NULL;
    free(leased->begin);
    leased->begin = NULL;
    if (leased->held) postgres_lease_end(&leased->lease, clean);
    leased->held = false;
}

int leased_begin(leased_t *leased, const char *sql, const char *name) {
    free(leased->begin);
    leased->begin = strdup(sql);
    snprintf(leased->name, sizeof leased->name, "%s", name);
    return leased->begin ? 0 : ERR_NO_MEMORY;
}

int leased_submit(leased_t *leased, postgres_query_t *query) {
    bool begins = leased->begin != NULL;
    if (!leased->held) return ERR_CLOSED;
    if (begins || !leased->waited.open) query->tenant = leased->lease.tenant;
    int err = postgres_lease_submit(&leased->lease, query);
    if (err) return err;
    if (begins) {
        free(leased->begin);
        leased->begin = NULL;
        waited_open(&leased->waited, leased->name, leased->task);
    }
    waited_work(&leased->waited);
    return 0;
}

int leased_copy(leased_t *leased, postgres_copy_t *copy) {
    int err = leased->held ? postgres_copy(&leased->lease, copy) : ERR_CLOSED;
    if (!err) waited_work(&leased->waited);
    return err;
}
