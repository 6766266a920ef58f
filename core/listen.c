/* listen.c: turns hosts and ports into sockets, or takes over those that systemd opened. */
#include "listen.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/err.h"

#define BACKLOG 4096
#define INHERITED_FROM 3

static int port_of(const listen_address_t *address) {
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

static void set_port(listen_address_t *address, int port) {
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons((uint16_t)port);
    else
        address->v4.sin_port = htons((uint16_t)port);
}

static void describe(listen_address_t *address) {
    char text[INET6_ADDRSTRLEN] = "";
    bool v6 = address->any.sa_family == AF_INET6;
    const void *bytes = v6 ? (void *)&address->v6.sin6_addr : (void *)&address->v4.sin_addr;
    inet_ntop(address->any.sa_family, bytes, text, sizeof(text));
    snprintf(
        address->text, sizeof(address->text), v6 ? "[%s]:%d" : "%s:%d", text, port_of(address));
}

/* A socket bound to the address: with SO_REUSEPORT when shared, else only if nobody listens there. */
static int bind_to(const listen_address_t *address, bool shared) {
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (address->any.sa_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, &address->any, address->len) == 0) return fd;
    int err = -errno;
    close(fd);
    return err;
}

static int move_up(int fd) {
    int high = fcntl(fd, F_DUPFD_CLOEXEC, LISTEN_FD_LEAST);
    int err = high < 0 ? -errno : high;
    close(fd);
    return err;
}

int listen_open(const listen_address_t *address) {
    if (address->inherited >= 0) {
        int copy = fcntl(address->inherited, F_DUPFD_CLOEXEC, LISTEN_FD_LEAST);
        return copy < 0 ? -errno : copy;
    }
    int fd = bind_to(address, true);
    if (fd < 0) return fd;
    if (listen(fd, BACKLOG) == 0) return move_up(fd);
    int err = -errno;
    close(fd);
    return err;
}

static int probe(listen_address_t *address, char *why, size_t size) {
    int fd = bind_to(address, false);
    if (fd == -EADDRINUSE) {
        return err_why(ERR_CONFLICT, why, size,
            "cannot listen on %s: another server is using this port", address->text);
    }
    if (fd < 0) {
        return err_why(
            ERR_UNAVAILABLE, why, size, "cannot listen on %s: %s", address->text, strerror(-fd));
    }
    socklen_t len = sizeof(address->v6);
    getsockname(fd, &address->any, &len);
    close(fd);
    describe(address);
    return 0;
}

static int add(
    listen_set_t *set, const struct sockaddr *found, socklen_t len, char *why, size_t size) {
    if (set->count == LISTEN_MAX) {
        return err_why(ERR_RANGE, why, size, "host: more than %d addresses", LISTEN_MAX);
    }
    listen_address_t *address = &set->addresses[set->count];
    memset(address, 0, sizeof(*address));
    memcpy(&address->any, found, len);
    address->len = len;
    address->inherited = -1;
    if (set->port) set_port(address, set->port);
    describe(address);
    int err = probe(address, why, size);
    if (err) return err;
    set->port = port_of(address);
    set->count++;
    return 0;
}

static int add_host(listen_set_t *set, span_t host, int port, char *why, size_t size) {
    char name[256], service[8];
    if (host.len == 0 || host.len >= sizeof(name)) {
        return err_why(
            ERR_INVALID, why, size, "host: \"%.*s\" is not an address", (int)host.len, host.ptr);
    }
    snprintf(name, sizeof(name), "%.*s", (int)host.len, host.ptr);
    snprintf(service, sizeof(service), "%d", port);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(name, service, &hints, &found);
    if (failed) {
        return err_why(ERR_INVALID, why, size, "host: cannot find the address of %s: %s", name,
            gai_strerror(failed));
    }
    int err = 0;
    for (struct addrinfo *one = found; one && !err; one = one->ai_next) {
        if (one->ai_family != AF_INET && one->ai_family != AF_INET6) continue;
        err = add(set, one->ai_addr, one->ai_addrlen, why, size);
    }
    freeaddrinfo(found);
    return err;
}

static int take_over(listen_set_t *set, int count, char *why, size_t size) {
    if (count > LISTEN_MAX) {
        return err_why(ERR_RANGE, why, size, "LISTEN_FDS: more than %d sockets", LISTEN_MAX);
    }
    for (int i = 0; i < count; i++) {
        listen_address_t *address = &set->addresses[i];
        memset(address, 0, sizeof(*address));
        address->len = sizeof(address->v6);
        address->inherited = move_up(INHERITED_FROM + i);
        if (address->inherited < 0 ||
            getsockname(address->inherited, &address->any, &address->len) != 0) {
            return err_why(ERR_INVALID, why, size, "LISTEN_FDS: descriptor %d is not a socket",
                INHERITED_FROM + i);
        }
        describe(address);
    }
    set->count = count;
    set->port = port_of(&set->addresses[0]);
    return 0;
}

static int inherited_count(void) {
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    int count = pid && fds && atol(pid) == getpid() ? atoi(fds) : 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    return count;
}

int listen_find(const config_t *config, listen_set_t *out, char *why, size_t size) {
    memset(out, 0, sizeof(*out));
    int count = inherited_count();
    if (count > 0) return take_over(out, count, why, size);
    out->port = (int)config->port;
    span_t rest = span_of(config->host);
    int err = 0;
    while (rest.len > 0 && !err) {
        span_t host = span_trim(span_cut(&rest, ','));
        err = add_host(out, host, out->port, why, size);
    }
    return err;
}
