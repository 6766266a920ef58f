/* worker.h: one worker process: a loop, a trusted VM, a sandbox per active tenant. */
#ifndef PERIGEE_WORKER_H
#define PERIGEE_WORKER_H

/* Serves until the master says drain or goes away. Reads LISTEN_FDS, PERIGEE_CHANNEL and PERIGEE_WORKER_CONFIG from
   the environment. Returns the exit code. */
int worker_main(void);

#endif
