/* tenant_routes.h: a tenant's own routes: routes.lua in a VM of its own, beside the rules. */
#ifndef PERIGEE_TENANT_ROUTES_H
#define PERIGEE_TENANT_ROUTES_H
#include "request.h"

/* Most requests of one tenant that may be inside its routes at once. */
#define TENANT_ROUTES_MAX 32

/* Runs the tenant's route for the request's method and path, if it has one. False when it has none; then nothing was answered. */
bool tenant_routes_run(request_t *request);

#endif
