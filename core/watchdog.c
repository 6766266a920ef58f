/* watchdog.c: a timer of the thread's processor time, whose signal compares a count of the loop's turns. */
#include "watchdog.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Ticks per hold_ms: a turn is ended between hold_ms and a quarter more. */
#define TICKS 4

static struct {
    uv_check_t check;
    timer_t timer;
    vm_t *volatile vms[WATCHDOG_VMS];
    volatile sig_atomic_t turn, seen, ticks;
    bool running;
} watchdog;

static void on_tick(int number) {
    (void)number;
    if (watchdog.seen != watchdog.turn) {
        watchdog.seen = watchdog.turn;
        watchdog.ticks = 0;
        return;
    }
    watchdog.ticks = watchdog.ticks + 1;
    if (watchdog.ticks < TICKS) return;
    for (int i = 0; i < WATCHDOG_VMS; i++)
        if (watchdog.vms[i])
            vm_interrupt(watchdog.vms[i], "the handler held the loop for too long");
}

static void on_turn(uv_check_t *check) {
    (void)check;
    watchdog.turn = watchdog.turn + 1;
}

static int arm(uint64_t hold_ms) {
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

static void close_check(void *data) {
    uv_close((uv_handle_t *)data, NULL);
}

int watchdog_start(loop_t *loop, uint64_t hold_ms) {
    uv_check_init(loop_uv(loop), &watchdog.check);
    uv_check_start(&watchdog.check, on_turn);
    uv_unref((uv_handle_t *)&watchdog.check);
    int err = loop_exit_add(loop, close_check, &watchdog.check);
    return err ? UV_ENOMEM : arm(hold_ms);
}

void watchdog_stop(void) {
    if (watchdog.running) timer_delete(watchdog.timer);
    watchdog.running = false;
}

static void replace(vm_t *from, vm_t *to) {
    for (int i = 0; i < WATCHDOG_VMS; i++) {
        if (watchdog.vms[i] != from) continue;
        watchdog.vms[i] = to;
        return;
    }
}

void watchdog_watch(vm_t *vm) {
    replace(NULL, vm);
}
void watchdog_unwatch(vm_t *vm) {
    replace(vm, NULL);
}
