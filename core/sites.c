/* sites.c: opens a tenant's routes on first use, replaces them with its edition, closes them when long unused. */
#include "sites.h"
#include "base/map.h"
#include "tail.h"
#include "tenant/rules.h"
#include <stdlib.h>

#define SWEEP_MS 60000
#define IDLE_MS 300000
#define REST_MS 60000
#define KILLS 3
#define AGAIN_MS 5000
#define LOG_MOST 20

struct sites {
    services_t *services;
    map_t open;  /* by slug */
    list_t all;  /* least recently used first */
    size_t most; /* open at once, those that are retired left out */
    sandbox_limits_t limits;
    deadline_t sweep;
};

static uint64_t now(const sites_t *sites) {
    return loop_now(sites->services->loop);
}

static void site_delete(site_t *site) {
    list_remove(&site->node);
    deferred_clear(&site->goodbye);
    routes_close(site->routes);
    edition_unref(site->edition);
    free(site);
}

static void on_goodbye(deferred_t *deferred) {
    site_delete(LIST_OWNER(deferred, site_t, goodbye));
}

/* Not inside the call that may come from one of its own tasks. */
static void retire(site_t *site) {
    if (!site->retired) map_remove(&site->sites->open, site->slug);
    site->retired = true;
    if (site->inside == 0 && list_empty(&site->goodbye.node))
        loop_defer(site->sites->services->loop, &site->goodbye);
}

static void tail(void *data, span_t line) {
    tail_write(NULL, ((site_t *)data)->slug, line);
}

static site_t *site_open(sites_t *sites, edition_t *edition) {
    site_t *site = calloc(1, sizeof *site);
    if (!site) return NULL;
    site->sites = sites;
    site->edition = edition_ref(edition);
    site->slug = edition->slug;
    deferred_init(&site->goodbye, on_goodbye);
    list_init(&site->node);
    site->opened_ms = now(sites);
    if (!rule_blank(edition->text[RULE_ROUTES]))
        routes_open(edition, sites->services->loop, &sites->limits, tail, site, &site->routes,
            &site->fault);
    if (map_set(&sites->open, site->slug, site, NULL) != 0) {
        site_delete(site);
        return NULL;
    }
    list_push(&sites->all, &site->node);
    if (!deadline_armed(&sites->sweep))
        deadline_set(sites->services->loop, &sites->sweep, now(sites) + SWEEP_MS);
    return site;
}

static bool outdated(const site_t *site, const edition_t *edition) {
    if (strcmp(site->edition->hash, edition->hash) != 0) return true;
    if (site->fault.err) return now(site->sites) - site->opened_ms >= AGAIN_MS;
    return site->routes && routes_spent(site->routes);
}

/* Those that requests are inside stay: they are few, since each of them is one in flight. */
static void make_room(sites_t *sites) {
    for (list_t *node = sites->all.next, *next; node != &sites->all; node = next) {
        if (sites->open.count < sites->most) return;
        next = node->next;
        site_t *site = LIST_OWNER(node, site_t, node);
        if (!site->retired && site->inside == 0) retire(site);
    }
}

site_t *sites_find(sites_t *sites, span_t slug) {
    tenant_t *tenant = tenants_find(sites->services->tenants, slug);
    edition_t *edition = tenant ? tenant_edition(tenant) : NULL;
    if (!edition) return NULL;
    site_t *site = map_get(&sites->open, edition->slug);
    if (site && outdated(site, edition)) {
        retire(site);
        site = NULL;
    }
    if (!site) {
        make_room(sites);
        site = site_open(sites, edition);
    }
    if (!site) return NULL;
    site->used_ms = now(sites);
    list_remove(&site->node);
    list_push(&sites->all, &site->node);
    return site;
}

void site_enter(site_t *site) {
    site->inside++;
}

void site_leave(site_t *site) {
    site->inside--;
    if (site->retired && site->inside == 0) retire(site);
}

void site_killed(site_t *site) {
    for (int i = KILLS - 1; i > 0; i--)
        site->kills_ms[i] = site->kills_ms[i - 1];
    site->kills_ms[0] = now(site->sites);
}

bool site_rests(const site_t *site) {
    uint64_t first = site->kills_ms[KILLS - 1], last = site->kills_ms[0];
    return first && last - first < REST_MS && now(site->sites) - last < REST_MS;
}

bool site_may_log(site_t *site) {
    uint64_t at = now(site->sites);
    if (at - site->log_from_ms >= 1000) {
        site->log_from_ms = at;
        site->logged = 0;
    }
    return site->logged++ < LOG_MOST;
}

static void on_sweep(deadline_t *deadline) {
    sites_t *sites = LIST_OWNER(deadline, sites_t, sweep);
    for (list_t *node = sites->all.next, *next; node != &sites->all; node = next) {
        next = node->next;
        site_t *site = LIST_OWNER(node, site_t, node);
        if (!site->retired && site->inside == 0 && now(sites) - site->used_ms > IDLE_MS)
            retire(site);
    }
    if (!list_empty(&sites->all))
        deadline_set(sites->services->loop, deadline, now(sites) + SWEEP_MS);
}

sites_t *sites_new(services_t *services) {
    sites_t *sites = calloc(1, sizeof *sites);
    if (!sites) return NULL;
    sites->services = services;
    map_create(&sites->open);
    list_init(&sites->all);
    deadline_init(&sites->sweep, on_sweep);
    sites->most = (size_t)services->config.tenant_vms_max;
    sandbox_limits_default(&sites->limits);
    sites->limits.time_ms = (uint64_t)services->config.rule_ms;
    sites->limits.instructions = (uint64_t)services->config.rule_instructions;
    sites->limits.memory = (size_t)services->config.rule_memory_bytes;
    sites->limits.allocated = (uint64_t)services->config.rule_allocated_bytes;
    return sites;
}

void sites_delete(sites_t *sites) {
    deadline_clear(&sites->sweep);
    while (!list_empty(&sites->all))
        site_delete(LIST_OWNER(sites->all.next, site_t, node));
    map_destroy(&sites->open);
    free(sites);
}
