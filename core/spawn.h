/* spawn.h: starts a worker process with its sockets, its line to the master and its settings. */
#ifndef PERIGEE_SPAWN_H
#define PERIGEE_SPAWN_H
#include <sys/types.h>
#include "base/bytes.h"

/* Executes this very program as `worker`: a new address layout for each life. The worker finds fds from 3 on
   (LISTEN_FDS), its channel behind them (PERIGEE_CHANNEL) and `settings` in PERIGEE_WORKER_CONFIG. The caller keeps
   fds, which must be above 63, and owns *channel, the master's end. The pid, or a negative errno. */
pid_t spawn_worker(const int *fds, int nfds, const char *settings, int *channel);

#endif
