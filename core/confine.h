/* confine.h: the system calls that a worker gives up once it has started. */
#ifndef PERIGEE_CONFINE_H
#define PERIGEE_CONFINE_H

/* Installs the filter for every thread of this process, for good; call it after the start, before the first request.
   0 or a negative errno. */
int confine_worker(void);

#endif
