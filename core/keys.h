/* keys.h: which role a request's key gives at a tenant. */
#ifndef PERIGEE_KEYS_H
#define PERIGEE_KEYS_H
#include "request.h"

/* Sets request->role and request->key_known from `Authorization: Bearer …`. The only keys are those of the demo
   configuration, demo-owner-SLUG; they exist while demo_keys is on. */
void keys_read(request_t *request, const config_t *config);

#endif
