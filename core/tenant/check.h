/* check.h: tries an edition before it may serve: lint, parse, and every sample cart through every rule. */
#ifndef PERIGEE_TENANT_CHECK_H
#define PERIGEE_TENANT_CHECK_H
#include "tenant/price.h"

typedef struct finding {
    bool warning; /* else it keeps the edition from serving */
    char file
        [160]; /* "acme/pricing.lua", "_default/tax.lua", "acme/samples/one.json": below the tenants' folder */
    int line;      /* 0 when there is none */
    char kind[12]; /* "pricing", …, "tenant", "sample" */
    int err;
    char text[360];   /* a plain sentence with the offending value */
    char sample[100]; /* the first sample that showed it, or empty */
    size_t samples;   /* how many showed it */
} finding_t;

typedef struct check_report {
    arena_t arena;
    const edition_t *edition; /* borrowed */
    const char
        *tenants; /* the folder whose other tenants must not have the same host; NULL for none */
    finding_t *items;
    size_t count, cap;
    size_t errors, warnings;
    size_t samples, priced; /* that were tried, and of those that got a price */
    sandbox_limits_t limits;
    sandbox_usage_t
        peak; /* the most that a sample used, each for itself; its time is the processor's */
    struct {
        const char *instructions, *nanoseconds, *allocated, *memory;
    } peak_of; /* which sample that was; borrowed from the edition */
} check_report_t;

void check_report_create(check_report_t *report);
void check_report_destroy(check_report_t *report);

/* Runs it all; may take seconds and must not run on a loop: in a child of the master, or in the CLI. `settings` may
   be NULL: then those of the edition's tenant.json, else a shop in USD. The edition must live as long as the report.
   0 when it may serve, else the first error. */
int edition_check(edition_t *edition, const settings_t *settings, check_report_t *report);

/* "tenants/acme/pricing.lua:3: pricing: sentence (code)" lines and a line of what was used. `folder` is the tenants'
   folder, as the user wrote it. */
void check_report_text(const check_report_t *report, const char *folder, buf_t *out);
/* {"ok":true,"edition":HASH,"samples":3,"priced":3,
    "findings":[{"file","line","kind","severity","code","detail","sample","samples"}],
   "budget":{"instructions":{"used","limit"},…}}. */
void check_report_json(const check_report_t *report, buf_t *out);

/* The settings of an edition's tenant.json, or of a shop in USD without one; NULL with a sentence in why. */
settings_t *edition_settings(const edition_t *edition, char *why, size_t size);

#endif
