/* server.h: takes requests from the net room, finds tenant and route, runs the handler, answers, logs. */
#ifndef PERIGEE_SERVER_H
#define PERIGEE_SERVER_H
#include "app.h"
#include "net/exchange.h"
#include "services.h"

typedef struct server server_t;
/* One per worker. services->traffic and services->resolve are set. NULL when out of memory. */
server_t *server_new(services_t *services);
/* After the net room is gone, so that no request is left. */
void server_delete(server_t *server);
/* The callbacks for net_new; they live as long as the server. */
const exchange_ops_t *server_ops(server_t *server);
/* New requests start on this edition; those in flight finish on theirs. Takes over the caller's reference. */
void server_swap(server_t *server, app_t *app);
app_t *server_app(server_t *server); /* NULL before the first swap */
/* Whether /readyz says so: set once the editions are known, cleared when draining. */
void server_set_ready(server_t *server, bool ready);

#endif
