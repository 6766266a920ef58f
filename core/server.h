/* server.h: takes requests from the net room, finds tenant and route, runs the handler, answers, logs. */
#ifndef PERIGEE_SERVER_H
#define PERIGEE_SERVER_H
#include "request.h"
#include "services.h"

/* One per worker. services->server is set. NULL when out of memory. */
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
/* Cached tenants are looked up again: all, or one slug. */
void server_forget_tenants(server_t *server);
request_t *server_find(server_t *server, double handle);
/* The request whose API handler the task runs, or a function that it has detached; NULL for any other task, and for
   NULL. */
request_t *server_request_of(task_t *task);
/* Newer settings of a tenant have been seen. */
void server_adopt(server_t *server, settings_t *settings);
/* Buffers for the answer being built, emptied by this call. */
buf_t *server_body(server_t *server);
buf_t *server_lines(server_t *server);
/* Pushes an answer table with a problem, as scripts/lib/problem.lua makes it. */
void server_push_problem(lua_State *L, request_t *request, int err, const char *detail);

#endif
