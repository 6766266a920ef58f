/* control.h: the master's control socket, by which `perigee reload` speaks to a running server. */
#ifndef PERIGEE_CONTROL_H
#define PERIGEE_CONTROL_H
#include "home.h"
#include "line.h"
#include "reload.h"

#define CONTROL_CLIENTS 16

/* A client says {"do":"reload"} or {"do":"reload","wait":true}, one line, and gets one line back: {"ok":true}, or
   {"ok":…,"report":[…]} with reload_report's list. */
typedef struct control {
    int fd;
    reload_t *reload;
    struct control_client {
        bool open, done; /* done: to be closed once its answer has been sent */
        line_t line;
        uint64_t waits_for; /* a generation, or 0 */
        struct control *control;
    } clients[CONTROL_CLIENTS];
} control_t;

/* Listens on control.sock in the server's own folder, for its owner alone. A sentence with an error. */
int control_open(control_t *control, const home_t *home, reload_t *reload, char *why, size_t size);
void control_close(control_t *control);
void control_watch(control_t *control, poller_t *poller);
/* Answers those whose reload has settled. */
void control_tick(control_t *control);

/* The other end: sends one line to the server of this data folder and port, and appends its answer's line. */
int control_ask(const config_t *config, span_t line, buf_t *answer, char *why, size_t size);

#endif
