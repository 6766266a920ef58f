/* sites.h: the open routes VMs of a worker's tenants. */
#ifndef PERIGEE_SITES_H
#define PERIGEE_SITES_H
#include "services.h"
#include "tenant/routes.h"

/* Most requests of one tenant that may be inside its routes at once (sandbox.md). */
#define SITE_REQUESTS_MAX 32

typedef struct sites sites_t;
/* One tenant's routes as they run. Counted by the requests inside. */
typedef struct site {
    sites_t *sites;
    list_t node;
    span_t slug;
    routes_t *routes; /* NULL when they do not open; then fault says why */
    edition_t *edition;
    sandbox_fault_t fault;
    size_t inside;
    bool retired; /* replaced; goes when the last request leaves */
    uint64_t used_ms;
    uint64_t kills_ms[3]; /* when budgets were last used up */
    deferred_t goodbye;
} site_t;

sites_t *sites_new(services_t *services); /* NULL when out of memory */
void sites_delete(sites_t *sites);        /* no request may be inside */
/* The site of a tenant's current edition, opened on first use; NULL when there is no edition or no memory. */
site_t *sites_find(sites_t *sites, span_t slug);
void site_enter(site_t *site);
void site_leave(site_t *site);
/* A script used up a budget: after three within a minute the site rests for a minute. */
void site_killed(site_t *site);
bool site_rests(const site_t *site);

#endif
