/* access_log.h: one line per request. */
#ifndef PERIGEE_ACCESS_LOG_H
#define PERIGEE_ACCESS_LOG_H
#include "request.h"

/* request is NULL for health checks and for what the net room refused itself. */
void access_log_write(const exchange_t *exchange, const request_t *request);

#endif
