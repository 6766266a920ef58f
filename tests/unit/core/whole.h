/* whole.h: a whole server in one process, without its master: loop, engines, scripts from a folder, tenants,
   sockets. */
#ifndef PERIGEE_TEST_WHOLE_H
#define PERIGEE_TEST_WHOLE_H
#include "net/rig.h"
#include "core/folder.h"
#include "launch.h"
#include "resolve.h"
#include "server.h"
#include <ctype.h>

/* What every main.lua of these tests begins with: tenants by the host's first label, and nothing else. */
#define MAIN_HEAD                                                                                  \
    "local function resolve(kind, text)\n"                                                         \
    "  local slug = text:match('^[a-z]+')\n"                                                       \
    "  if slug == 'nobody' then return nil end\n"                                                  \
    "  return { id = 'id-' .. slug, slug = slug, settings = { currency = 'USD' } }\n"              \
    "end\n"
#define MAIN_TAIL ", tenants = { resolve = resolve, seed = function() end }, tenant_shop = {} }\n"
/* A main.lua with these routes: `["GET /x"] = function(req) … end, …`. */
#define MAIN(routes) MAIN_HEAD "return { routes = { " routes " }" MAIN_TAIL

typedef struct whole {
    rig_t rig; /* its loop, net and port, for the clients */
    config_t config;
    services_t services;
    server_t *server;
    char folder[256];
    client_t client;
} whole_t;

/* A folder and the settings; then files, then whole_start. */
static inline void whole_create(whole_t *whole) {
    memset(whole, 0, sizeof *whole);
    folder_create(whole->folder);
    folder_mkdir(whole->folder, "scripts");
    folder_mkdir(whole->folder, "data");
    config_default(&whole->config);
    whole->config.demo_keys = true;
    snprintf(whole->config.data, sizeof whole->config.data, "%s/data", whole->folder);
    log_open(-1, LOG_ERROR);
}

static inline app_t *whole_load(whole_t *whole, const char *main, char *why, size_t size) {
    char path[512];
    app_t *app = NULL;
    bundle_t *bundle = NULL;
    folder_write(whole->folder, "scripts/main.lua", main);
    folder_path(path, whole->folder, "scripts");
    if (bundle_read_folder(path, &bundle, why, size) != 0) return NULL;
    launch(&whole->services, bundle, &app, why, size);
    return app;
}

/* Another edition of the scripts serves from now on. */
static inline void whole_swap(whole_t *whole, const char *main) {
    char why[1000] = "";
    app_t *app = whole_load(whole, main, why, sizeof why);
    if (!app) fail_msg("%s", why);
    server_swap(whole->server, app);
}

static inline void whole_start(whole_t *whole, const char *main) {
    char why[1000] = "";
    rig_t *rig = &whole->rig;
    rig->loop = loop_new();
    rig->family = AF_INET;
    assert_non_null(rig->loop);
    if (services_create(&whole->services, rig->loop, &whole->config, why, sizeof why) != 0)
        fail_msg("%s", why);
    whole->server = server_new(&whole->services);
    assert_non_null(whole->server);
    net_limits_default(&rig->limits);
    rig->net = net_new(rig->loop, &rig->limits, server_ops(whole->server));
    assert_non_null(rig->net);
    rig->fd = rig_socket(AF_INET, &rig->port);
    assert_true(rig->fd >= 0);
    assert_int_equal(net_listen(rig->net, rig->fd), 0);
    if (main) whole_swap(whole, main);
    server_set_ready(whole->server, true);
}

/* In the order of a worker's end. The VMs assert that no task and no byte is left. */
static inline void whole_stop(whole_t *whole) {
    net_delete(whole->rig.net);
    server_delete(whole->server);
    loop_turn(whole->rig.loop, 0);
    services_destroy(&whole->services);
    loop_delete(whole->rig.loop);
    close(whole->rig.fd);
    folder_destroy(whole->folder);
}

static inline void whole_open(whole_t *whole, const char *main) {
    whole_create(whole);
    whole_start(whole, main);
}

/* An edition of a tenant made of one routes.lua, in force from now on. */
static inline void whole_routes(whole_t *whole, const char *slug, const char *text) {
    edition_t *edition;
    assert_int_equal(edition_of_file(RULE_ROUTES, span_of(text), &edition), 0);
    edition->slug = (span_t){arena_dup(&edition->arena, slug, strlen(slug)), strlen(slug)};
    assert_int_equal(tenants_swap(whole->services.tenants, edition), 0);
    edition_unref(edition);
}

/* Sends a request of a tenant on a connection of its own. `more` is header lines, an empty line and the body; NULL
   for none. */
static inline void whole_send(
    whole_t *whole, client_t *client, const char *host, const char *line, const char *more) {
    char head[2048];
    snprintf(head, sizeof head, "%s HTTP/1.1\r\nHost: %s.localhost\r\nConnection: close\r\n%s",
        line, host, more ? "" : "\r\n");
    client_open(client, &whole->rig);
    client_send(client, head);
    if (more) client_send(client, more);
}

/* The status of the answer, once it is there whole; its text is in client->got. */
static inline int whole_await(whole_t *whole, client_t *client) {
    RIG_UNTIL(&whole->rig, client_ended(client));
    close(client->fd);
    return strncmp(client->got, "HTTP/1.1 ", 9) == 0 ? atoi(client->got + 9) : 0;
}

static inline int whole_ask(whole_t *whole, const char *line, const char *more) {
    whole_send(whole, &whole->client, "acme", line, more);
    return whole_await(whole, &whole->client);
}

static inline const char *whole_body(const client_t *client) {
    const char *body = strstr(client->got, "\r\n\r\n");
    return body ? body + 4 : "";
}

/* The status, and whether the answer contains the text. */
static inline void whole_expect(
    whole_t *whole, int status, const char *line, const char *more, const char *text) {
    int got = whole_ask(whole, line, more);
    if (got != status || !strstr(whole->client.got, text))
        fail_msg("%s: expected %d and %s, got:\n%s", line, status, text, whole->client.got);
}

#endif
