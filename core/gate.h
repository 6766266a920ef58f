/* gate.h: what a request needs from the cache role before its script starts: session, settings, rate limit. */
#ifndef PERIGEE_GATE_H
#define PERIGEE_GATE_H
#include "request.h"
#include "services.h"

typedef struct gate gate_t;
/* Called once: with true when the script may start, with false when the gate has answered or the request is gone. */
typedef void (*gate_cb)(request_t *request, bool passed);

gate_t *gate_new(services_t *services); /* NULL when out of memory */
void gate_delete(gate_t *gate);         /* no request may be inside */
/* After the route is known: finds the limit that applies, and puts its policy into the answer's headers. */
void gate_find(gate_t *gate, request_t *request);
/* After gate_find. Without a limit and without a wish for the session this is a plain call of `through`; else one round
   trip comes first. */
void gate_enter(gate_t *gate, request_t *request, gate_cb through);
/* The client has left. Nothing happens to a request that is not inside. */
void gate_abandon(request_t *request);

#endif
