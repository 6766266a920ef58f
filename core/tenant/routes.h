/* routes.h: a tenant's routes.lua in a VM of its own: what it declares, and its handlers as tasks. */
#ifndef PERIGEE_TENANT_ROUTES_H
#define PERIGEE_TENANT_ROUTES_H
#include "lua/sandbox.h"
#include "tenant/edition.h"
#include "tenant/router.h"

#define ROUTES_MAX 200 /* routes of one tenant */

typedef struct routes routes_t;
/* Loads the edition's routes.lua (keeping a reference to the edition), runs it once and reads the names it declares.
   0, or fault filled: a name that is no route, a path that belongs to the platform, a value that is not a function.
   `tail` as in sandbox_new. */
int routes_open(edition_t *edition, loop_t *loop, const sandbox_limits_t *limits,
    void (*tail)(void *data, span_t line), void *data, routes_t **out, sandbox_fault_t *fault);
/* No task of it may be alive. */
void routes_close(routes_t *routes);
edition_t *routes_edition(const routes_t *routes);
const router_t *routes_router(const routes_t *routes);
size_t routes_count(const routes_t *routes);
/* True once the VM must be replaced. */
bool routes_spent(const routes_t *routes);
/* Starts the handler of a matched route; as sandbox_start. */
task_t *routes_start(routes_t *routes, const route_t *route, const task_options_t *options,
    int (*push)(lua_State *L, void *data), void *data, bool *alive, sandbox_fault_t *fault);

#endif
