/* watchdog.h: ends a handler that computes for too long without waiting. */
#ifndef PERIGEE_WATCHDOG_H
#define PERIGEE_WATCHDOG_H
#include "lua/vm.h"

#define WATCHDOG_VMS 8 /* the edition that serves, and older ones that still have requests */

/* Once per process, on the loop's thread: when a watched VM runs for hold_ms of processor time without waiting, it
   is interrupted with an error, again and again until it has ended. Processor time, so that a busy machine ends
   nobody's handler, and one stretch at a time, so that many short handlers in one turn of the loop do not count as
   one long one. What blocks without computing is the master's to notice. 0 or a negative libuv code. */
int watchdog_start(uint64_t hold_ms);
void watchdog_stop(void);
/* A VM whose scripts are watched; ignored beyond WATCHDOG_VMS. */
void watchdog_watch(vm_t *vm);
void watchdog_unwatch(vm_t *vm);

#endif
