/* address.h: which addresses belong to the machine or its networks rather than to the public internet. */
#ifndef PERIGEE_HTTP_ADDRESS_H
#define PERIGEE_HTTP_ADDRESS_H
#include <stdbool.h>
#include <sys/socket.h>

/* True for everything but public unicast: loopback, private, link-local, shared (CGNAT), unspecified, multicast,
   reserved and documentation addresses of IPv4 and IPv6, IPv6 forms that carry such an IPv4 address (mapped, 6to4,
   NAT64), Teredo, and every other family. */
bool address_private(const struct sockaddr *address);

#endif
