/* master.c: opens everything, then waits with poll(2) for signals, edits, workers and commands until it is told to
   end. */
#include "master.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/err.h"
#include "control.h"
#include "sweep.h"
#include "watch.h"

#define DRAIN_EXTRA_MS 2000 /* a worker that drains ends by itself within drain_ms */
#define LEAVING_MS 100      /* how often the end is looked at */
#define EARLY_DEATHS 3      /* before the first worker is ready: the start is in vain */

typedef struct master {
    const config_t *config;
    listen_set_t listen;
    home_t home;
    shelf_t shelf;
    slots_t slots;
    reload_t reload;
    control_t control;
    watch_t *watch;
    sweep_t *sweep; /* only while the watch is blind */
    uint64_t sweep_ms;
    poller_t poller;
    int signals;
    bool serving; /* the listening line is out */
    bool leaving;
    uint64_t leave_ms; /* when those that are left are killed */
    int early_deaths;
    int code;
} master_t;

static void complain(const char *why) {
    fprintf(stderr, "perigee: %s\n", why);
}

static void leave(master_t *master, int code) {
    if (master->leaving) {
        slots_kill(&master->slots);
        return;
    }
    master->leaving = true;
    master->code = code;
    master->leave_ms = poller_now() + (uint64_t)master->config->drain_ms + DRAIN_EXTRA_MS;
    log_event(LOG_INFO, "draining", "\"workers\":%d", slots_alive(&master->slots));
    slots_drain(&master->slots);
    if (!master->serving) slots_kill(&master->slots);
}

static void give_up(master_t *master, const char *why) {
    if (master->leaving) return;
    complain(why);
    leave(master, 1);
}

static void announce(const master_t *master) {
    char line[LISTEN_MAX * 80] = "";
    size_t at = 0;
    for (int i = 0; i < master->listen.count; i++) {
        at += (size_t)snprintf(line + at, sizeof(line) - at, "%s http://%s", i ? "," : "",
            master->listen.addresses[i].text);
    }
    printf("perigee: listening on%s\n", line);
    fflush(stdout);
}

static void on_started(void *data, slot_t *slot) {
    reload_prime(&((master_t *)data)->reload, slot);
}

static void on_message(void *data, slot_t *slot, const message_t *message) {
    master_t *master = data;
    if (strcmp(message->verb, "settings") == 0) {
        /* One shop's document that is refused is no failure of the worker, nor of the start. */
        if (message->tenant)
            reload_stored(
                &master->reload, slot, message->tenant, message->ok ? NULL : message->error);
        return;
    }
    if (!master->serving && !message->ok && message->error) give_up(master, message->error);
    rollouts_message(&master->reload.rollouts, slot, message);
}

static void on_ready(void *data, slot_t *slot) {
    master_t *master = data;
    log_event(LOG_INFO, "worker_ready", "\"slot\":%d,\"pid\":%d", slot->index, (int)slot->pid);
    if (master->serving || slots_ready(&master->slots) < master->slots.count) return;
    master->serving = true;
    announce(master);
}

static void on_lost(void *data, slot_t *slot) {
    master_t *master = data;
    reload_lost(&master->reload, slot);
    if (master->serving || ++master->early_deaths < EARLY_DEATHS) return;
    give_up(master, "the workers end before they are ready; the log says why");
}

static const slots_ops_t SLOTS_OPS = {
    .started = on_started, .message = on_message, .ready = on_ready, .lost = on_lost};

/* Between two rounds of the poller: what goes with a child may have its turn in the round that tells of its end.
   It asks in every round, and not only after a SIGCHLD: a missed one would leave a dead worker in its slot for
   good. */
static void reap(master_t *master) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (!slots_reaped(&master->slots, pid, status)) {
            reload_reaped(&master->reload, pid, status);
        }
    }
}

static void on_signal(void *data, short events) {
    (void)events;
    master_t *master = data;
    struct signalfd_siginfo info;
    while (read(master->signals, &info, sizeof(info)) == sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            break; /* it has ended the round, which is all it is for */
        case SIGHUP:
            reload_all(&master->reload);
            break;
        default:
            leave(master, 0);
            break;
        }
    }
}

static int catch_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    const int wanted[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        sigaddset(&set, wanted[i]);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Each connection is a descriptor, in workers that inherit this limit. */
static void raise_files(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static int open_stores(master_t *master, char *why, size_t size) {
    int err = home_open(&master->home, master->config, master->listen.port, why, size);
    if (err) return err;
    err = shelf_create(&master->shelf, master->home.path);
    if (!err) return 0;
    snprintf(why, size, "cannot write to %s: %s", master->home.path, strerror(errno));
    home_close(&master->home);
    return err;
}

static int open_watch(master_t *master, char *why, size_t size) {
    master->watch =
        watch_new(master->config->scripts, master->config->tenants, reload_mark, &master->reload);
    master->signals = catch_signals();
    if (master->watch && master->signals >= 0) return 0;
    snprintf(why, size, "out of memory or descriptors");
    return ERR_NO_MEMORY;
}

static int open_all(master_t *master, char *why, size_t size) {
    int err = listen_find(master->config, &master->listen, why, size);
    if (!err) err = open_stores(master, why, size);
    if (!err) {
        err = slots_create(
            &master->slots, master->config, &master->listen, &SLOTS_OPS, master, why, size);
    }
    if (err) return err;
    reload_create(&master->reload, master->config, &master->shelf, &master->slots);
    err = control_open(&master->control, &master->home, &master->reload, why, size);
    return err ? err : open_watch(master, why, size);
}

static void close_all(master_t *master) {
    control_close(&master->control);
    reload_destroy(&master->reload);
    slots_destroy(&master->slots);
    watch_delete(master->watch);
    if (master->sweep) sweep_delete(master->sweep);
    shelf_destroy(&master->shelf);
    home_close(&master->home);
    poller_destroy(&master->poller);
    close(master->signals);
}

static void on_edit(void *data, short events) {
    (void)events;
    watch_read(data);
}

static void watch_all(master_t *master) {
    poller_clear(&master->poller);
    poller_add(&master->poller, master->signals, POLLIN, on_signal, master);
    slots_watch(&master->slots, &master->poller);
    if (master->leaving) {
        poller_wake(&master->poller, poller_now() + LEAVING_MS);
        return;
    }
    poller_add(&master->poller, watch_fd(master->watch), POLLIN, on_edit, master->watch);
    if (master->sweep) poller_wake(&master->poller, master->sweep_ms);
    reload_watch(&master->reload, &master->poller);
    control_watch(&master->control, &master->poller);
}

/* What was edited between the last event seen and the first look of the sweep is found by looking at everything. */
static void sweep(master_t *master, uint64_t now) {
    if (!master->sweep && watch_blind(master->watch)) {
        log_event(LOG_INFO, "sweeping", "\"every_ms\":%d", SWEEP_MS);
        master->sweep = sweep_new(
            master->config->scripts, master->config->tenants, reload_mark, &master->reload);
        reload_mark(&master->reload, NULL);
    } else if (master->sweep && now >= master->sweep_ms) {
        sweep_run(master->sweep);
    } else {
        return;
    }
    master->sweep_ms = now + SWEEP_MS;
}

static void tick(master_t *master) {
    reap(master);
    uint64_t now = poller_now();
    slots_tick(&master->slots, now);
    if (master->leaving) {
        if (now >= master->leave_ms) slots_kill(&master->slots);
        return;
    }
    sweep(master, now);
    reload_tick(&master->reload, now);
    control_tick(&master->control);
    if (!master->serving && reload_scripts_error(&master->reload)) {
        give_up(master, reload_scripts_error(&master->reload));
    }
}

static void serve(master_t *master) {
    reload_all(&master->reload);
    while (!master->leaving || slots_alive(&master->slots) > 0) {
        tick(master);
        watch_all(master);
        if (master->leaving && slots_alive(&master->slots) == 0) break;
        poller_wait(&master->poller);
        log_flush();
    }
    log_event(LOG_INFO, "ended", NULL);
    log_flush();
}

int master_run(const config_t *config) {
    static master_t master;
    char why[1200] = "";
    master = (master_t){.config = config, .signals = -1};
    poller_create(&master.poller);
    log_open(STDERR_FILENO, config->log_level);
    raise_files();
    if (open_all(&master, why, sizeof(why)) != 0) {
        complain(why);
        return 1;
    }
    serve(&master);
    if (master.serving) shelf_prune(&master.shelf);
    close_all(&master);
    return master.code;
}
