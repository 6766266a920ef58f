/* spawn.c: forks and executes a worker. */
#include "spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "listen.h"

#define FIRST_FD 3

static void set_number(const char *name, long number) {
    char text[24];
    snprintf(text, sizeof(text), "%ld", number);
    setenv(name, text, 1);
}

/* In the child. dup2 clears close-on-exec, so the worker inherits exactly these and the three standard ones. */
__attribute__((noreturn)) static void become_worker(
    const int *fds, int nfds, const char *settings, int channel) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < nfds; i++) {
        if (dup2(fds[i], FIRST_FD + i) < 0) _exit(127);
    }
    if (dup2(channel, FIRST_FD + nfds) < 0) _exit(127);
    set_number("LISTEN_FDS", nfds);
    set_number("LISTEN_PID", getpid());
    set_number("PERIGEE_CHANNEL", FIRST_FD + nfds);
    setenv("PERIGEE_WORKER_CONFIG", settings, 1);
    char *const arguments[] = {"perigee", "worker", NULL};
    execv("/proc/self/exe", arguments);
    _exit(127);
}

/* The worker's end sits above the numbers that dup2 fills, so that none of them is overwritten before it is copied. */
static int open_pair(int *ours, int *theirs) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -errno;
    *theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, LISTEN_FD_LEAST);
    int err = *theirs < 0 ? -errno : 0;
    close(pair[1]);
    if (err) close(pair[0]);
    *ours = pair[0];
    return err;
}

pid_t spawn_worker(const int *fds, int nfds, const char *settings, int *channel) {
    int theirs = -1;
    int err = open_pair(channel, &theirs);
    if (err) return err;
    pid_t pid = fork();
    if (pid == 0) become_worker(fds, nfds, settings, theirs);
    if (pid < 0) {
        pid = -errno;
        close(*channel);
    }
    close(theirs);
    return pid;
}
