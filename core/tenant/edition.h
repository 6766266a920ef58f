/* edition.h: one checked set of a tenant's rule files with its hash, immutable and counted. */
#ifndef PERIGEE_TENANT_EDITION_H
#define PERIGEE_TENANT_EDITION_H
#include "base/arena.h"
#include "base/bytes.h"

typedef enum {
    RULE_PRICING,
    RULE_SHIPPING,
    RULE_TAX,
    RULE_CHECKOUT,
    RULE_ROUTES,
    RULE_KINDS
} rule_kind_t;
const char *rule_kind_name(rule_kind_t kind); /* "pricing" */
const char *rule_kind_file(rule_kind_t kind); /* "pricing.lua" */

/* A tenant's folder name, which cannot leave the tenants' folder: a-z, 0-9 and '-', at most 63 bytes; "_default" too. */
bool edition_is_slug(const char *name);

typedef struct edition {
    int refs;
    arena_t arena;
    char hash[65]; /* SHA-256 over names and texts of the five files */
    span_t slug;
    span_t text[RULE_KINDS]; /* from the tenant's folder, else from _default */
    bool own[RULE_KINDS];    /* the tenant's own file */
    span_t document;         /* tenant.json, or empty */
    span_t *samples;         /* JSON texts of the sample carts, the tenant's or _default's */
    span_t *sample_names;
    size_t nsamples;
} edition_t;

/* Reads tenants_dir/slug (blocking; in the master, the CLI and tests only). ERR_NOT_FOUND, ERR_TOO_LARGE, or a libuv
   code; why gets a sentence with the file's name. */
int edition_read(
    const char *tenants_dir, const char *slug, edition_t **out, char *why, size_t size);
/* One JSON text that holds the whole edition, and back: how an edition travels from the master to a worker. */
void edition_write(const edition_t *edition, buf_t *out);
int edition_parse(span_t text, edition_t **out, char *why, size_t size);
/* An edition of one rule file alone, the other rules skipped, without samples; for tools. ERR_NO_MEMORY. */
int edition_of_file(rule_kind_t kind, span_t text, edition_t **out);
edition_t *edition_ref(edition_t *edition);
void edition_unref(edition_t *edition);

#endif
