/* reserved.h: the paths that belong to the server, which no tenant's routes can take. */
#ifndef PERIGEE_TENANT_RESERVED_H
#define PERIGEE_TENANT_RESERVED_H
#include "base/bytes.h"

/* Whether the path, or a route's pattern, is or lies below /api, /admin, /docs, /healthz, /readyz, /metrics,
   /openapi.json or /webhooks, in any case of letters. */
bool path_reserved(span_t path);

#endif
