/* watchdog.h: ends a handler that computes for too long without waiting. */
#ifndef PERIGEE_WATCHDOG_H
#define PERIGEE_WATCHDOG_H
#include "lua/vm.h"

#define WATCHDOG_VMS 8 /* the edition that serves, and older ones that still have requests */

/* Once per process, on the loop's thread: when a turn of the loop uses hold_ms of processor time, the watched VM
   that runs is interrupted with an error, again and again until the turn ends. Processor time, so that a busy
   machine ends nobody's handler; what blocks without computing is the master's to notice. 0 or a negative libuv
   code. */
int watchdog_start(loop_t *loop, uint64_t hold_ms);
void watchdog_stop(void);
/* A VM whose scripts are watched; ignored beyond WATCHDOG_VMS. */
void watchdog_watch(vm_t *vm);
void watchdog_unwatch(vm_t *vm);

#endif
