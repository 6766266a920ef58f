/* tenant.h: the tenants as a worker holds them: editions, their VMs, what happens when a rule fails, fair shares.
   */
#ifndef PERIGEE_TENANT_TENANT_H
#define PERIGEE_TENANT_TENANT_H
#include "base/loop.h"
#include "tenant/price.h"

typedef struct tenants tenants_t;
typedef struct tenant tenant_t;

typedef struct tenants_options {
    loop_t *loop;
    sandbox_limits_t limits;
    size_t vms_max;   /* VMs of rules open at once; the least recently used goes: 1,000 */
    uint64_t idle_ms; /* a VM unused for so long is closed: 300,000 */
    unsigned
        share_percent; /* of the worker's time that one tenant's rules may take: 5; 0 for no bound */
    /* A line of a script's log(...); may be NULL. */
    void (*tail)(void *data, span_t slug, span_t line);
    void *data;
    uint64_t (*now_ms)(void *data); /* a clock for tests; NULL for the loop's */
} tenants_options_t;
void tenants_options_default(tenants_options_t *options, loop_t *loop);

tenants_t *tenants_new(const tenants_options_t *options); /* NULL when out of memory */
/* Before the loop is deleted. */
void tenants_delete(tenants_t *tenants);
/* Makes the edition the current one of its slug (adding the tenant when it is new) and keeps a reference. The
   edition that it replaces becomes the last good one when it has priced, or when there is no other. The same hash
   again changes nothing. The edition of the slug "_default" serves every tenant without its own. 0 or
   ERR_NO_MEMORY. */
int tenants_swap(tenants_t *tenants, edition_t *edition);
/* Forgets the tenant's own edition: the defaults serve it from now on. */
void tenants_drop(tenants_t *tenants, span_t slug);
/* The tenant of the slug, made on the default edition when it has none of its own; valid until the loop's next
   turn. NULL when there is no default edition either, or out of memory. */
tenant_t *tenants_find(tenants_t *tenants, span_t slug);
/* Walks the tenants in no order: *at starts with 0; NULL at the end. */
tenant_t *tenants_next(const tenants_t *tenants, size_t *at);

/* Notes a tenant's settings as the store has them, by their slug, for those who know only the slug. Keeps a
   reference. */
void tenants_settle(tenants_t *tenants, settings_t *settings);
/* The settings noted last, else those of the edition's tenant.json; alive until the next note or swap. NULL with a
   sentence. */
const settings_t *tenant_settings(tenant_t *tenant, char *why, size_t size);

span_t tenant_slug(const tenant_t *tenant);
/* The current edition; take a reference to keep it over a wait. */
edition_t *tenant_edition(const tenant_t *tenant);
edition_t *tenant_last_good(const tenant_t *tenant); /* or NULL */

/* Prices with the current edition. When a rule fails, settings->on_rule_error decides: `last_good` prices all four
   again with the last edition that worked (fell_back, and `fault` says why; without one, a call that only ran out
   of time is tried once more); `refuse`, or a failure there too, gives priced = false with err and reason. After 3
   budget kills within a minute the current edition rests for a minute. A tenant beyond its share gets ERR_BUSY and
   retry_after_ms. 0 when priced, else quote->err. */
int tenant_price(tenant_t *tenant, const settings_t *settings, const price_input_t *input,
    arena_t *arena, quote_t *quote);

/* For what else of the tenant's code runs than its prices: milliseconds until its share allows more (0 now), and
   the two ends of a stretch of it, which took wall_ns. */
uint64_t tenant_wait(tenant_t *tenant);
void tenant_enter(tenant_t *tenant);
void tenant_leave(tenant_t *tenant, uint64_t wall_ns);

typedef struct tenant_counts {
    uint64_t priced, fell_back, refused, budget_kills, over_share;
} tenant_counts_t;
void tenant_counts(const tenant_t *tenant, tenant_counts_t *out);
size_t tenants_vms(const tenants_t *tenants); /* VMs open now */

#endif
