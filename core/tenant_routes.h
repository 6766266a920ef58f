/* tenant_routes.h: answers a request by its tenant's own routes.lua. */
#ifndef PERIGEE_TENANT_ROUTES_JOINER_H
#define PERIGEE_TENANT_ROUTES_JOINER_H
#include "gate.h"
#include "request.h"
#include "sites.h"

/* Runs the tenant's route for the request's method and path. False when the tenant has none; then nothing was
   answered, and request->match tells whether the path is one of the tenant's with other methods. */
bool tenant_routes_run(sites_t *sites, gate_t *gate, request_t *request);

#endif
