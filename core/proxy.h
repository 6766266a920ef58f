/* proxy.h: who the client is, seen through the proxies that the configuration trusts. */
#ifndef PERIGEE_PROXY_H
#define PERIGEE_PROXY_H
#include "base/bytes.h"
#include "net/exchange.h"

/* The client's address and scheme: the socket's, or what Forwarded / X-Forwarded-For and -Proto say when the socket's
   other end lies in the trusted networks; then the last address that is not itself a trusted proxy. Spans live with the
   exchange. */
void proxy_client(span_t networks, exchange_t *exchange, span_t *address, span_t *scheme);
/* Whether an address (IPv4 or IPv6 text) lies in one of the comma-separated networks ("127.0.0.1, 10.0.0.0/8, ::1"). */
bool proxy_trusts(span_t networks, span_t address);
/* 0, or ERR_INVALID with the network that does not parse in *bad. */
int proxy_check(span_t networks, span_t *bad);

#endif
