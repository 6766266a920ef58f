/* router.h: finds the route of a method and path: fixed segments win over parameters. */
#ifndef PERIGEE_TENANT_ROUTER_H
#define PERIGEE_TENANT_ROUTER_H
#include "base/arena.h"
#include "base/bytes.h"

#define ROUTE_PARAMS_MAX 8
typedef struct route {
    span_t method;  /* "GET" */
    span_t pattern; /* "/api/products/:id": the route template of logs and limits */
    int index;      /* the caller's */
} route_t;

typedef struct route_match {
    const route_t *route; /* NULL when not found */
    span_t names[ROUTE_PARAMS_MAX];
    span_t values[ROUTE_PARAMS_MAX]; /* percent-decoded, in the arena given */
    int nparams;
    bool path_known; /* route NULL but another method has this path: 405 */
    char allow[64];  /* "GET, HEAD, POST, OPTIONS" when path_known */
} route_match_t;

typedef struct router router_t;
router_t *router_new(void);
void router_delete(router_t *router);
/* spec: "GET /size-guide/:brand". HEAD follows from GET. ERR_INVALID with a sentence, ERR_CONFLICT when it is taken. */
int router_add(router_t *router, span_t spec, int index, char *why, size_t size);
/* path is percent-encoded as sent; an encoded slash stays inside its segment. ERR_INVALID for a bad escape, a NUL or
   text that is not UTF-8; else 0. */
int router_match(
    const router_t *router, span_t method, span_t path, arena_t *arena, route_match_t *out);

#endif
