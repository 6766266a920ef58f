/* check_own.h: what the files of the check share. */
#ifndef PERIGEE_TENANT_CHECK_OWN_H
#define PERIGEE_TENANT_CHECK_OWN_H
#include "tenant/check.h"
#include "tenant/lint.h"
#include "tenant/rules.h"
#include "tenant/sample.h"

typedef struct place {
    char file[160];
    int line;
    const char *kind;
    const char *sample; /* or NULL */
} place_t;

/* check_find.c: findings, which check_report_create begins. */
place_t check_place(const check_report_t *report, rule_kind_t kind, int line);
void check_find(check_report_t *report, const place_t *place, bool warning, int err,
    const char *format, ...) __attribute__((format(printf, 5, 6)));
/* A fault of the sandbox; `kind` when it names no file. */
void check_fault(
    check_report_t *report, const sandbox_fault_t *fault, rule_kind_t kind, const char *sample);
/* check_tenant.c: tenant.json, but for its settings. */
void check_tenant(check_report_t *report);
/* check_routes.c: what routes.lua returns, against router and reserved paths. */
void check_routes(check_report_t *report);

#endif
