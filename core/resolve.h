/* resolve.h: finds the tenant of a host or of a trusted X-Tenant-ID, and keeps its settings for five minutes. */
#ifndef PERIGEE_RESOLVE_H
#define PERIGEE_RESOLVE_H
#include "request.h"
#include "services.h"

typedef struct resolve resolve_t;
typedef void (*resolve_cb)(void *data, request_t *request, int err);

resolve_t *resolve_new(services_t *services, resolve_cb found, void *data);
void resolve_delete(resolve_t *resolve);
/* Sets request->settings and calls found with 0, ERR_NOT_FOUND, or the store's error: at once when the tenant is
   cached, else later; many requests for one tenant wait for one lookup. */
void resolve_request(resolve_t *resolve, request_t *request);
/* The request does not wait any more. */
void resolve_abandon(request_t *request);
/* Every cached tenant is looked up again at its next request. */
void resolve_forget(resolve_t *resolve);

/* Newer settings of a tenant have been seen: they replace what is cached of it. Takes a reference of its own. */
void resolve_adopt(resolve_t *resolve, settings_t *settings);

#endif
