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
    edition_t *edition;
    routes_t *routes;      /* NULL when the file is blank or does not open */
    sandbox_fault_t fault; /* why it does not; err is 0 for a blank file */
    size_t inside;
    bool retired; /* replaced; goes when the last request leaves */
    uint64_t opened_ms, used_ms;
    uint64_t log_from_ms; /* when the second of `logged` lines began */
    unsigned logged;
    uint64_t kills_ms[3]; /* when budgets were last used up */
    deferred_t goodbye;
} site_t;

sites_t *sites_new(services_t *services); /* NULL when out of memory */
void sites_delete(sites_t *sites);        /* no request may be inside */
/* The site of a tenant's current edition, opened on first use; NULL when there is no edition or no memory. One that
   did not open is tried again after a while: a busy machine is not the script's fault. At most tenant_vms_max are
   open, those longest unused go first. */
site_t *sites_find(sites_t *sites, span_t slug);
void site_enter(site_t *site);
void site_leave(site_t *site);
/* A script used up a budget: after three within a minute the site rests for a minute. */
void site_killed(site_t *site);
bool site_rests(const site_t *site);
/* Whether a fault may be logged now: at most twenty lines a second and site. */
bool site_may_log(site_t *site);

#endif
