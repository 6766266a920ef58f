/* worker.c: a worker's life: opens what it needs, follows the master's orders, serves, drains, ends. */
#include "worker.h"
#include "background.h"
#include "base/err.h"
#include "base/log.h"
#include "channel.h"
#include "confine.h"
#include "launch.h"
#include "loader.h"
#include "net/listener.h"
#include "seed.h"
#include "server.h"
#include "watchdog.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ALIVE_MS 1000
#define LEAVE_LOOK_MS 10
#define SOCKETS_MAX 16
#define FIRST_SOCKET 3 /* sd_listen_fds(3) */

typedef struct worker {
    loop_t *loop;
    services_t services;
    server_t *server;
    net_t *net;
    loader_t *loader;
    channel_t *channel;
    background_t *background;
    seed_t *seed;
    app_t *built; /* beside the one that serves, until commit or drop */
    deadline_t alive, leave;
    uint64_t leave_ms; /* it drains no longer than until then */
    deferred_t accept;
    uv_signal_t terminate;
    size_t loading; /* editions that are being read */
    bool seeding, seeded, accepting, draining;
    int sockets[SOCKETS_MAX];
    int nsockets;
} worker_t;

/* An order that is being carried out on the loader's thread. */
typedef struct order {
    worker_t *worker;
    int64_t id;
    char verb[16];
    char tenant[128];
    char change[37], before[65], hash[65]; /* of rules that replace others */
} order_t;

static void answer(worker_t *worker, const char *verb, int64_t id, const char *error) {
    message_t message = {
        .verb = verb, .answer = true, .ok = error == NULL, .id = id, .error = error, .fd = -1};
    if (worker->channel) channel_send(worker->channel, &message);
}

/* Connections are gone. Handlers whose client has left before its answer are to come to their end too. */
static void on_leave(deadline_t *deadline) {
    worker_t *worker = LIST_OWNER(deadline, worker_t, leave);
    uint64_t now = loop_now(worker->loop);
    if (worker->services.ndetached == 0 || now >= worker->leave_ms)
        loop_stop(worker->loop);
    else
        deadline_set(worker->loop, deadline, now + LEAVE_LOOK_MS);
}

static void on_drained(void *data) {
    worker_t *worker = data;
    on_leave(&worker->leave);
}

static void drain(worker_t *worker) {
    if (worker->draining) return;
    worker->draining = true;
    server_set_ready(worker->server, false);
    background_delete(worker->background);
    worker->background = NULL;
    seed_stop(worker->seed);
    /* With the last copy of a socket closed, new connections are refused rather than left waiting. */
    for (int i = 0; i < worker->nsockets; i++)
        close(worker->sockets[i]);
    uint64_t most_ms = (uint64_t)worker->services.config.drain_ms;
    worker->leave_ms = loop_now(worker->loop) + most_ms;
    net_drain(worker->net, most_ms, on_drained, worker);
}

static void log_failed(const char *what, int err) {
    log_event(LOG_ERROR, what, "\"error\":\"%s\"", err_name(err));
}

/* Serves once there are scripts, no edition is on its way and the tenants are stored: then no early request meets a
   shop without its rules, or no shop at all. */
static void on_accept(deferred_t *deferred) {
    worker_t *worker = LIST_OWNER(deferred, worker_t, accept);
    if (worker->accepting || worker->draining || worker->loading || !server_app(worker->server))
        return;
    if (!worker->seeded) {
        if (!worker->seeding) seed_all(worker->seed);
        worker->seeding = true;
        return;
    }
    worker->accepting = true;
    for (int i = 0; i < worker->nsockets; i++) {
        int err = net_listen(worker->net, worker->sockets[i]);
        if (err) log_failed("listen_failed", err);
    }
    server_set_ready(worker->server, true);
    answer(worker, "ready", 0, NULL);
}

static void look_whether_to_accept(worker_t *worker) {
    if (list_empty(&worker->accept.node)) loop_defer(worker->loop, &worker->accept);
}

static void on_seeded(void *data) {
    worker_t *worker = data;
    worker->seeded = true;
    if (!worker->accepting) look_whether_to_accept(worker);
}

/* The master keeps what is refused, for `perigee reload` to say. */
static void on_stored(void *data, const char *slug, const char *refused) {
    worker_t *worker = data;
    message_t message = {.verb = "settings",
        .answer = true,
        .ok = refused == NULL,
        .tenant = slug,
        .error = refused,
        .fd = -1};
    if (worker->channel) channel_send(worker->channel, &message);
}

static order_t *order_new(worker_t *worker, const message_t *message) {
    order_t *order = calloc(1, sizeof *order);
    if (!order) return NULL;
    order->worker = worker;
    order->id = message->id;
    snprintf(order->verb, sizeof order->verb, "%s", message->verb);
    snprintf(order->tenant, sizeof order->tenant, "%s", message->tenant ? message->tenant : "");
    snprintf(order->change, sizeof order->change, "%s", message->change ? message->change : "");
    snprintf(order->before, sizeof order->before, "%s", message->before ? message->before : "");
    snprintf(order->hash, sizeof order->hash, "%s", message->hash ? message->hash : "");
    worker->loading++;
    return order;
}

static void order_done(order_t *order, const char *error) {
    worker_t *worker = order->worker;
    worker->loading--;
    answer(worker, order->verb, order->id, error);
    free(order);
    look_whether_to_accept(worker);
}

static void on_bundle(void *data, bundle_t *bundle, const char *why) {
    order_t *order = data;
    worker_t *worker = order->worker;
    char text[2000] = "";
    app_unref(worker->built);
    worker->built = NULL;
    if (!bundle)
        snprintf(text, sizeof text, "%s", why);
    else
        launch(&worker->services, bundle, &worker->built, text, sizeof text);
    order_done(order, worker->built ? NULL : text);
}

static void on_edition(void *data, edition_t *edition, const char *why) {
    order_t *order = data;
    worker_t *worker = order->worker;
    int err = edition ? tenants_swap(worker->services.tenants, edition) : 0;
    if (edition && !err && worker->seeding) seed_one(worker->seed, order->tenant);
    if (edition && !err && order->change[0])
        changes_add(
            &worker->services.changes, order->tenant, order->change, order->before, order->hash);
    order_done(order, !edition ? why : err ? err_text(err) : NULL);
    edition_unref(edition);
}

static void order_scripts(worker_t *worker, const message_t *message) {
    order_t *order = order_new(worker, message);
    int err =
        order ? loader_bundle(worker->loader, message->path, on_bundle, order) : ERR_NO_MEMORY;
    if (err && order) order_done(order, err_text(err));
}

static void order_rules(worker_t *worker, const message_t *message) {
    order_t *order = order_new(worker, message);
    int err =
        order ? loader_edition(worker->loader, message->path, on_edition, order) : ERR_NO_MEMORY;
    if (err && order) order_done(order, err_text(err));
}

static void commit(worker_t *worker, const message_t *message) {
    if (!worker->built) {
        answer(worker, "commit", message->id, "nothing has been built");
        return;
    }
    server_swap(worker->server, worker->built);
    background_delete(worker->background);
    worker->background = background_new(worker->built);
    if (!worker->background) log_failed("background_failed", ERR_NO_MEMORY);
    seed_use(worker->seed, worker->built);
    worker->built = NULL;
    answer(worker, "commit", message->id, NULL);
    look_whether_to_accept(worker);
}

static void drop(worker_t *worker, const message_t *message) {
    app_unref(worker->built);
    worker->built = NULL;
    answer(worker, "drop", message->id, NULL);
}

/* A sibling's slot is empty for a while: its socket is served here too. */
static void accept_socket(worker_t *worker, const message_t *message) {
    bool can = worker->accepting && !worker->draining && message->fd >= 0;
    int err = can ? net_listen(worker->net, message->fd) : ERR_INVALID;
    answer(worker, "accept", message->id, err ? err_text(err) : NULL);
}

static void on_message(void *data, const message_t *message) {
    worker_t *worker = data;
    if (!message) { /* the master is gone */
        worker->channel = NULL;
        drain(worker);
        return;
    }
    if (strcmp(message->verb, "scripts") == 0 && message->path)
        order_scripts(worker, message);
    else if (strcmp(message->verb, "rules") == 0 && message->path)
        order_rules(worker, message);
    else if (strcmp(message->verb, "commit") == 0)
        commit(worker, message);
    else if (strcmp(message->verb, "drop") == 0)
        drop(worker, message);
    else if (strcmp(message->verb, "accept") == 0)
        accept_socket(worker, message);
    else if (strcmp(message->verb, "settings") == 0 && message->tenant)
        seed_one(worker->seed, message->tenant);
    else if (strcmp(message->verb, "drain") == 0)
        drain(worker);
}

static void on_alive(deadline_t *deadline) {
    worker_t *worker = LIST_OWNER(deadline, worker_t, alive);
    log_flush();
    answer(worker, "alive", 0, NULL);
    deadline_set(worker->loop, deadline, loop_now(worker->loop) + ALIVE_MS);
}

static void on_terminate(uv_signal_t *signal, int number) {
    (void)number;
    drain(signal->data);
}

static int number_of(const char *name) {
    const char *text = getenv(name);
    return text ? atoi(text) : -1;
}

static void read_limits(const config_t *config, net_limits_t *limits) {
    net_limits_default(limits);
    limits->line_max = (size_t)config->line_max_bytes;
    limits->headers_max = (size_t)config->headers_max_bytes;
    limits->fields_max = (size_t)config->fields_max;
    limits->body_max = (size_t)config->body_max_bytes;
    limits->head_ms = (uint64_t)config->head_ms;
    limits->body_rate = (uint64_t)config->body_rate_bytes;
    limits->idle_ms = (uint64_t)config->idle_ms;
    limits->write_ms = (uint64_t)config->write_ms;
    limits->requests_max = (uint64_t)config->requests_max;
    limits->pipeline_max = (size_t)config->pipeline_max;
    if (config->connections_max) limits->conns_max = (size_t)config->connections_max;
}

/* Everything that can fail for want of memory or threads. */
static int open_rooms(worker_t *worker, const config_t *config, char *why, size_t size) {
    net_limits_t limits;
    int err = services_create(&worker->services, worker->loop, config, why, size);
    if (err) return err;
    read_limits(config, &limits);
    worker->server = server_new(&worker->services);
    worker->loader = loader_new(worker->loop);
    worker->seed = seed_new(&worker->services, on_seeded, worker);
    if (worker->seed) seed_tell(worker->seed, on_stored);
    worker->net =
        worker->server ? net_new(worker->loop, &limits, server_ops(worker->server)) : NULL;
    if (worker->net && worker->loader && worker->seed) return 0;
    snprintf(why, size, "out of memory");
    return ERR_NO_MEMORY;
}

static int begin(worker_t *worker) {
    int fd = number_of("PERIGEE_CHANNEL");
    worker->nsockets = number_of("LISTEN_FDS");
    if (fd < 0 || worker->nsockets < 1 || worker->nsockets > SOCKETS_MAX) return ERR_INVALID;
    for (int i = 0; i < worker->nsockets; i++)
        worker->sockets[i] = FIRST_SOCKET + i;
    worker->channel = channel_open(worker->loop, fd, on_message, worker);
    if (!worker->channel) return ERR_NO_MEMORY;
    deferred_init(&worker->accept, on_accept);
    deadline_init(&worker->alive, on_alive);
    deadline_init(&worker->leave, on_leave);
    deadline_set(worker->loop, &worker->alive, loop_now(worker->loop) + ALIVE_MS);
    uv_signal_init(loop_uv(worker->loop), &worker->terminate);
    worker->terminate.data = worker;
    uv_signal_start(&worker->terminate, on_terminate, SIGTERM);
    uv_unref((uv_handle_t *)&worker->terminate);
    int err = watchdog_start((uint64_t)worker->services.config.hold_ms);
    if (!err) err = confine_worker();
    return err;
}

/* The reverse of the opening: connections, then what their requests used, then the engines with the loop. */
static void end(worker_t *worker) {
    watchdog_stop();
    if (worker->channel) channel_close(worker->channel);
    background_delete(worker->background);
    if (worker->net) net_delete(worker->net);
    if (worker->loader) loader_delete(worker->loader);
    if (worker->seed) seed_delete(worker->seed);
    app_unref(worker->built);
    if (worker->server) server_delete(worker->server);
    deferred_clear(&worker->accept);
    deadline_clear(&worker->alive);
    deadline_clear(&worker->leave);
    uv_close((uv_handle_t *)&worker->terminate, NULL);
    loop_turn(worker->loop, 0);
    services_destroy(&worker->services);
    loop_delete(worker->loop);
    log_flush();
}

static int read_config(config_t *config) {
    char why[300];
    const char *text = getenv("PERIGEE_WORKER_CONFIG");
    if (text && config_from_json(config, span_of(text), why, sizeof why) == 0) return 0;
    fprintf(stderr, "perigee: a worker is started by `perigee serve`, not by hand\n");
    return 2;
}

static void log_worker_failed(const char *why) {
    buf_t *line = log_begin(LOG_ERROR, "worker_failed");
    if (!line) return;
    buf_text(line, ",\"error\":");
    buf_json(line, span_of(why));
    log_end();
}

int worker_main(void) {
    config_t config;
    char why[300] = "";
    if (read_config(&config)) return 2;
    log_open(STDERR_FILENO, config.log_level);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* the terminal's ^C reaches the whole group; the master decides */
    worker_t *worker = calloc(1, sizeof *worker);
    if (!worker || !(worker->loop = loop_new())) return 1;
    int err = open_rooms(worker, &config, why, sizeof why);
    if (!err) err = begin(worker);
    if (err) {
        log_worker_failed(why[0] ? why : err_text(err));
        _exit(1);
    }
    loop_run(worker->loop);
    end(worker);
    free(worker);
    return 0;
}
