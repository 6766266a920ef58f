/* health.h: the answers of /healthz and /readyz, which need no tenant and no script. */
#ifndef PERIGEE_HEALTH_H
#define PERIGEE_HEALTH_H
#include "net/exchange.h"
#include "services.h"

/* Answers and returns true when the path is one of the two. */
bool health_answer(exchange_t *exchange, const services_t *services, bool ready);

#endif
