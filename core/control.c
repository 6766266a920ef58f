/* control.c: serves the control socket, and asks one. */
#include "control.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <yyjson.h>
#include "base/err.h"
#include "base/log.h"

typedef struct control_client client_t;

static void address_of(int folder, struct sockaddr_un *out) {
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    char path[64];
    home_socket(folder, path);
    memcpy(out->sun_path, path, strlen(path));
}

int control_open(control_t *control, const home_t *home, reload_t *reload, char *why, size_t size) {
    memset(control, 0, sizeof(*control));
    control->reload = reload;
    struct sockaddr_un address;
    address_of(home->fd, &address);
    unlink(address.sun_path);
    control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t mask = umask(0177);
    bool bound = control->fd >= 0 &&
                 bind(control->fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                 listen(control->fd, CONTROL_CLIENTS) == 0;
    umask(mask);
    if (bound) return 0;
    snprintf(why, size, "cannot listen on %s/control.sock: %s", home->path, strerror(errno));
    if (control->fd >= 0) close(control->fd);
    return ERR_UNAVAILABLE;
}

void control_close(control_t *control) {
    close(control->fd);
    for (int i = 0; i < CONTROL_CLIENTS; i++) {
        if (control->clients[i].open) line_destroy(&control->clients[i].line);
    }
}

static void answer(client_t *client, span_t text) {
    client->waits_for = 0;
    client->done = true;
    line_write(&client->line, text);
}

static void on_line(void *data, span_t text) {
    client_t *client = data;
    if (client->done || client->waits_for) return;
    yyjson_doc *doc = yyjson_read(text.ptr, text.len, 0);
    yyjson_val *root = doc ? yyjson_doc_get_root(doc) : NULL;
    bool known = yyjson_equals_str(yyjson_obj_get(root, "do"), "reload");
    bool wait = yyjson_get_bool(yyjson_obj_get(root, "wait"));
    yyjson_doc_free(doc);
    if (!known) {
        answer(client, SPAN("{\"ok\":false,\"error\":\"unknown command\"}\n"));
        return;
    }
    log_event(LOG_INFO, "reload_asked", NULL);
    client->waits_for = reload_all(client->control->reload);
    if (!wait) answer(client, SPAN("{\"ok\":true}\n"));
}

static void on_client(void *data, short events) {
    client_t *client = data;
    int err = (events & POLLOUT) ? line_flush(&client->line) : 0;
    if (!err && (events & (POLLIN | POLLHUP | POLLERR))) {
        err = line_read(&client->line, on_line, client);
    }
    if (!err && !(client->done && !line_waits(&client->line))) return;
    line_destroy(&client->line);
    client->open = false;
}

static client_t *free_client(control_t *control) {
    for (int i = 0; i < CONTROL_CLIENTS; i++) {
        if (!control->clients[i].open) return &control->clients[i];
    }
    return NULL;
}

static void on_connect(void *data, short events) {
    (void)events;
    control_t *control = data;
    client_t *client = free_client(control);
    int fd = client ? accept4(control->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
    if (fd < 0) return;
    *client = (client_t){.open = true, .control = control};
    line_create(&client->line, fd);
}

void control_watch(control_t *control, poller_t *poller) {
    if (free_client(control)) poller_add(poller, control->fd, POLLIN, on_connect, control);
    for (int i = 0; i < CONTROL_CLIENTS; i++) {
        client_t *client = &control->clients[i];
        if (!client->open) continue;
        /* One that has its answer is called once more, as writable, and closed then. */
        short events = POLLIN | (client->done ? POLLOUT : 0);
        poller_add(poller, client->line.fd, events, on_client, client);
    }
}

static void tell(client_t *client) {
    buf_t list, text;
    buf_create(&list);
    buf_create(&text);
    reload_report(client->control->reload, client->waits_for, &list);
    buf_char(&list, '\0');
    bool refused = list.failed || strstr(list.ptr, "\"ok\":false");
    buf_printf(&text, "{\"ok\":%s,\"report\":%s}\n", refused ? "false" : "true",
        list.failed ? "[]" : list.ptr);
    answer(client,
        text.failed ? SPAN("{\"ok\":false,\"error\":\"out of memory\"}\n") : buf_view(&text));
    buf_destroy(&list);
    buf_destroy(&text);
}

void control_tick(control_t *control) {
    for (int i = 0; i < CONTROL_CLIENTS; i++) {
        client_t *client = &control->clients[i];
        if (!client->open || !client->waits_for) continue;
        if (!reload_settled(control->reload, client->waits_for)) continue;
        if (!reload_storing(control->reload)) tell(client);
    }
}

static int find_server(const config_t *config, char *why, size_t size) {
    char path[640];
    snprintf(path, sizeof(path), "%s/servers/%d", config->data, (int)config->port);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (folder >= 0) address_of(folder, &address);
    bool connected =
        folder >= 0 && fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (folder >= 0) close(folder);
    if (connected) return fd;
    snprintf(why, size, "no server with port %d runs on the data folder %s", (int)config->port,
        config->data);
    if (fd >= 0) close(fd);
    return -1;
}

static int read_line(int fd, buf_t *answer) {
    for (;;) {
        char *room = buf_reserve(answer, 4096);
        ssize_t got = room ? read(fd, room, 4096) : -1;
        if (got < 0 && room && errno == EINTR) continue;
        if (got <= 0) return ERR_CLOSED;
        answer->len += (size_t)got;
        if (answer->ptr[answer->len - 1] == '\n') return 0;
    }
}

int control_ask(const config_t *config, span_t line, buf_t *answer, char *why, size_t size) {
    int fd = find_server(config, why, size);
    if (fd < 0) return ERR_UNAVAILABLE;
    int err = 0;
    if (send(fd, line.ptr, line.len, MSG_NOSIGNAL) != (ssize_t)line.len) err = ERR_CLOSED;
    if (!err) err = read_line(fd, answer);
    close(fd);
    if (err) snprintf(why, size, "the server ended before it answered");
    return err;
}
