/* services.h: what scripts and the server share within one process: the loop, the settings, the engines, the
   tenants. */
#ifndef PERIGEE_SERVICES_H
#define PERIGEE_SERVICES_H
#include "base/cache_ops.h"
#include "base/list.h"
#include "base/loop.h"
#include "changes.h"
#include "config.h"
#include "tenant/tenant.h"

struct sqlite;
struct client;
struct redis;
struct postgres;
struct mailer;
struct traffic;
struct resolve;

typedef struct services {
    loop_t *loop;
    config_t config;
    struct sqlite *sqlite;
    struct client *http;
    struct postgres *postgres; /* NULL without the setting postgres_url */
    struct redis *redis;       /* NULL without the setting redis_url */
    struct mailer *mailer;     /* NULL without the setting mail_url */
    cache_ops_t cache;         /* of the cache role's engine */
    tenants_t *tenants;        /* every tenant's editions and VMs */
    struct traffic *traffic;   /* the requests in flight; NULL in a job */
    struct resolve *resolve;   /* the tenants by host; NULL in a job */
    list_t detached;           /* functions that run to their end: detach.c */
    size_t ndetached;
    changes_t changes;
} services_t;

/* A role of storage: which engine it has, and whether that answers now. */
typedef struct role_state {
    const char *role, *engine;
    bool up;
} role_state_t;

#define SERVICES_ROLES 4

void services_roles(const services_t *services, role_state_t roles[SERVICES_ROLES]);
/* Opens the engines on a loop. They close with the loop. Returns 0, or an error with a sentence. */
int services_create(
    services_t *services, loop_t *loop, const config_t *config, char *why, size_t size);
void services_destroy(services_t *services);

#endif
