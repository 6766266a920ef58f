/* request.h: one API request on its way from the exchange to the handler and back. */
#ifndef PERIGEE_REQUEST_H
#define PERIGEE_REQUEST_H
#include "app.h"
#include "config.h"
#include "net/exchange.h"
#include "tenant/router.h"
#include "tenant/settings.h"

#define REQUEST_ID_MAX 64

struct traffic;
typedef struct gate_visit gate_visit_t;
typedef struct page page_t;
typedef struct request {
    struct traffic *traffic;  /* that it is part of */
    exchange_t *exchange;     /* its arena holds the request */
    app_t *app;               /* the edition it started with */
    task_t *task;             /* while a script runs for it */
    settings_t *settings;     /* the tenant's, once it is found */
    const app_route_t *route; /* the API's route; NULL on a tenant's own */
    route_match_t match;      /* its names live with the router; see request_match for the rest */
    span_t pattern;           /* of the route that answers, platform's or tenant's */
    char id[REQUEST_ID_MAX + 1];
    char trace[33];         /* the trace id of traceparent */
    span_t address, scheme; /* the client's, behind trusted proxies too */
    span_t session;         /* empty when there is none */
    const char *role;       /* NULL without a key for this tenant */
    bool key_known;         /* a valid key was sent, perhaps of another tenant */
    uint64_t arrived_ms, deadline_ms;
    double handle;       /* slot and epoch: how Lua names it */
    list_t waiting;      /* for its tenant to be found */
    uint64_t waited_ns;  /* for stores, in all */
    const char *edition; /* hash of the rules that priced the answer, for the log */
    gate_visit_t *visit; /* at the gate; NULL when there is nothing to ask or count */
    span_t limits;       /* header lines of every answer: the rate limit's */
    span_t session_data; /* the session's JSON as the gate found it; empty when there is none */
    page_t *page;        /* inside its tenant's own routes; the user of their task is the request */
} request_t;

/* Reads what the head says: request id, trace, the client's address and scheme, session. */
void request_read_head(request_t *request, const config_t *config);
/* Fills match with the route of the request's method and path. Pattern and values then live as long as the request:
   neither the read buffer, which is used again while a script waits, nor a tenant's router does. ERR_INVALID for a
   path that is not well-formed, ERR_NO_MEMORY. */
int request_match(request_t *request, const router_t *router);
/* For how many ms what begins at now_ms may wait for the cache role, whose own time is most_ms. That runs from the
   request's arrival: who has waited for the role before does not wait as long again, but half of it is left in any
   case. All of it for NULL. */
uint64_t request_cache_ms(const request_t *request, uint64_t now_ms, uint64_t most_ms);
/* Whether the query, once decoded, is UTF-8 text without NUL, so that scripts need not ask. */
bool request_query_ok(const request_t *request);

#endif
