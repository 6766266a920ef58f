/* watchdog.c: a timer of the thread's processor time, whose signal looks whether the same stretch of Lua still
   runs. */
#include "watchdog.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Ticks per hold_ms: a stretch is ended between hold_ms and a quarter more. */
#define TICKS 4

typedef struct watched {
    vm_t *vm;
    sig_atomic_t seen, ticks; /* which stretch of Lua runs, and for how many ticks */
} watched_t;

static struct {
    timer_t timer;
    volatile watched_t vms[WATCHDOG_VMS];
    bool running;
} watchdog;

static void look(volatile watched_t *watched) {
    if (!watched->vm) return;
    if (watched->vm->depth == 0 || watched->seen != watched->vm->entered) {
        watched->seen = watched->vm->entered;
        watched->ticks = 0;
        return;
    }
    watched->ticks = watched->ticks + 1;
    if (watched->ticks >= TICKS)
        vm_interrupt(watched->vm, "the handler held the loop for too long");
}

static void on_tick(int number) {
    (void)number;
    for (int i = 0; i < WATCHDOG_VMS; i++)
        look(&watchdog.vms[i]);
}

int watchdog_start(uint64_t hold_ms) {
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    uint64_t ns = hold_ms * 1000000 / TICKS;
    struct timespec period = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    struct itimerspec every = {period, period};
    if (sigaction(SIGVTALRM, &action, NULL) != 0 ||
        timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &watchdog.timer) != 0)
        return -errno;
    watchdog.running = true;
    return timer_settime(watchdog.timer, 0, &every, NULL) == 0 ? 0 : -errno;
}

void watchdog_stop(void) {
    if (watchdog.running) timer_delete(watchdog.timer);
    watchdog.running = false;
}

static void replace(vm_t *from, vm_t *to) {
    for (int i = 0; i < WATCHDOG_VMS; i++) {
        if (watchdog.vms[i].vm != from) continue;
        watchdog.vms[i].ticks = 0;
        watchdog.vms[i].vm = to;
        return;
    }
}

void watchdog_watch(vm_t *vm) {
    replace(NULL, vm);
}
void watchdog_unwatch(vm_t *vm) {
    replace(vm, NULL);
}
