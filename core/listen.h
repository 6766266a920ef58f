/* listen.h: the addresses a server listens on and the sockets made for them. */
#ifndef PERIGEE_LISTEN_H
#define PERIGEE_LISTEN_H
#include <netinet/in.h>
#include "config.h"

#define LISTEN_MAX 8
/* Where sockets are kept in the master, out of the way of the numbers from 3 on that a worker inherits. */
#define LISTEN_FD_LEAST 64

typedef struct listen_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;
    char text[64]; /* "127.0.0.1:8080", "[::1]:8080" */
    int inherited; /* systemd's socket for it, or -1: then each slot opens its own */
} listen_address_t;

typedef struct listen_set {
    listen_address_t addresses[LISTEN_MAX];
    int count;
    int port; /* of the first address */
} listen_set_t;

/* The sockets in LISTEN_FDS when LISTEN_PID is this process, else the addresses of config->host and port, each tried
   with a plain bind first, because with SO_REUSEPORT a second server would share the port in silence. Port 0 is
   replaced by the free one found. 0, or an error with a sentence in why. Takes the two variables out of the
   environment. */
int listen_find(const config_t *config, listen_set_t *out, char *why, size_t size);
/* A listening SO_REUSEPORT socket of the address (a copy of an inherited one), or a negative errno. Not inherited by
   programs unless the spawner asks for it. */
int listen_open(const listen_address_t *address);

#endif
