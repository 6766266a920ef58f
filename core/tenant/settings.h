/* settings.h: a tenant's settings as C reads them, from the tenant's document. */
#ifndef PERIGEE_TENANT_SETTINGS_H
#define PERIGEE_TENANT_SETTINGS_H
#include "base/clock.h"
#include "base/money.h"
#include "base/rate.h"
#include "lua/value.h"

typedef enum { ON_RULE_ERROR_LAST_GOOD, ON_RULE_ERROR_REFUSE } on_rule_error_t;

/* One entry of settings.rateLimits: "/api/products" (all its methods together), "POST /api/products", or "*" (each
   route that has no rate of its own). */
typedef struct settings_limit {
    span_t name;
    rate_limit_t rate; /* count 0: no limit */
} settings_limit_t;

/* Immutable once made, but for `seen`; counted, because a request in flight may outlive a change. */
typedef struct settings {
    int refs;
    arena_t arena;
    span_t id, slug, name;
    span_t subdomain, custom_domain; /* custom_domain may be empty */
    value_t document;                /* the whole tenant document, as the API shows it */
    value_t
        settings; /* document.settings: currency, taxRate, freeShippingThreshold, lowStockThreshold, … */
    /* What a rule sees as ctx.tenant.settings: the same with freeShippingThreshold and shippingRate (5.00 by
       default, 500 where the currency has no minor unit) in minor units, taxRate ("0" by default) as exact text, and
       currency. */
    value_t for_rules;
    char currency[4];
    int digits;
    money_rounding_t rounding;     /* settings.rounding: "half-up" (default), "half-even" */
    bool round_per_order;          /* settings.taxRounding: "line" (default), "order" */
    on_rule_error_t on_rule_error; /* settings.onRuleError: "last_good" (default), "refuse" */
    const zone_t *zone;            /* settings.timeZone, "UTC" by default */
    const settings_limit_t *limits;
    size_t nlimits;
    uint64_t seen; /* hash of the stored text these were last compared with; 0: never */
} settings_t;

/* From the document (copied). NULL with a sentence that names the field in why: an unknown currency or time zone, a
   rate that is not decimal. */
settings_t *settings_new(const value_t *document, char *why, size_t size);
settings_t *settings_ref(settings_t *settings);
void settings_unref(settings_t *settings);

#endif
