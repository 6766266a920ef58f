/* master.h: the process that owns the sockets, the workers and the editions. */
#ifndef PERIGEE_MASTER_H
#define PERIGEE_MASTER_H
#include "config.h"

/* Serves until SIGTERM or SIGINT. Returns the exit code; what was wrong has been written to standard error. Standard
   output gets one line with the URLs once every worker is ready. */
int master_run(const config_t *config);

#endif
