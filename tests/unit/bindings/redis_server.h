/* redis_server.h: one real Redis for all tests of a file: the group's set-up and tear-down. */
#ifndef PERIGEE_TESTS_REDIS_SERVER_H
#define PERIGEE_TESTS_REDIS_SERVER_H
#include "bindings/redis_rig.h"

static server_t server;

static inline int redis_server_start(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    server_start(&server);
    return 0;
}

static inline int redis_server_stop(void **state) {
    (void)state;
    server_stop(&server);
    return 0;
}

#endif
