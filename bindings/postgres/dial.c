/* dial.c: makes a connection: names looked up off the loop, hosts and their addresses tried in turn. libpq could walk
   through the hosts itself, but it would look names up where it stands, and wait for ever for a host that is silent. */
#include "postgres/dial.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/lookup.h"
#include "postgres/fault.h"

#define WHY_MAX 200

struct postgres_dial {
    loop_t *loop;
    postgres_url_t *url;
    uint64_t share_ms; /* of one host */
    postgres_dial_cb done;
    void *data;
    deferred_t start;
    deadline_t limit; /* of the attempt */
    int first, tried; /* the host to begin with; how many of this pass */
    bool second;      /* prefer-standby: no standby was found, any will do */
    uint64_t host_until_ms;
    lookup_t *lookup;
    struct addrinfo *found, *next;
    PGconn *conn;
    uv_poll_t *poll;
    uv_os_sock_t fd; /* the poll's */
    char why[WHY_MAX];
};

static void next_host(postgres_dial_t *dial);
static void next_address(postgres_dial_t *dial);

static postgres_host_t *host_of(const postgres_dial_t *dial) {
    postgres_url_t *url = dial->url;
    return &url->hosts[(dial->first + dial->tried - 1) % url->count];
}

static void on_poll_closed(uv_handle_t *handle) {
    free(handle);
}

/* Before libpq closes the descriptor, of which the loop would not hear. */
static void unpoll(postgres_dial_t *dial) {
    if (dial->poll) uv_close((uv_handle_t *)dial->poll, on_poll_closed);
    dial->poll = NULL;
}

static void drop_attempt(postgres_dial_t *dial) {
    deadline_clear(&dial->limit);
    unpoll(dial);
    if (dial->conn) PQfinish(dial->conn);
    dial->conn = NULL;
}

static void drop_lookup(postgres_dial_t *dial) {
    if (dial->lookup) lookup_stop(dial->lookup);
    dial->lookup = NULL;
    if (dial->found) freeaddrinfo(dial->found);
    dial->found = dial->next = NULL;
}

void postgres_dial_stop(postgres_dial_t *dial) {
    deferred_clear(&dial->start);
    drop_attempt(dial);
    drop_lookup(dial);
    free(dial);
}

static void finish(postgres_dial_t *dial, PGconn *conn) {
    dial->done(dial->data, conn, dial->why);
    postgres_dial_stop(dial);
}

static void succeed(postgres_dial_t *dial) {
    PGconn *conn = dial->conn;
    dial->conn = NULL;
    dial->url->last = (dial->first + dial->tried - 1) % dial->url->count;
    drop_attempt(dial);
    finish(dial, conn);
}

static void fail_attempt(postgres_dial_t *dial, const char *sentence) {
    postgres_sentence(dial->why, sizeof dial->why, sentence);
    drop_attempt(dial);
    next_address(dial);
}

static void step(postgres_dial_t *dial);

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    step(poll->data);
}

/* libpq may have gone on with another descriptor, even one of the same number. */
static int listen_for(postgres_dial_t *dial, int events) {
    uv_os_sock_t fd = PQsocket(dial->conn);
    if (dial->poll && dial->fd != fd) unpoll(dial);
    if (!dial->poll) {
        dial->poll = malloc(sizeof *dial->poll);
        if (!dial->poll) return UV_ENOMEM;
        int err = uv_poll_init(loop_uv(dial->loop), dial->poll, fd);
        if (err) {
            free(dial->poll);
            dial->poll = NULL;
            return err;
        }
        dial->poll->data = dial;
        dial->fd = fd;
    }
    return uv_poll_start(dial->poll, events, on_poll);
}

static void wait_for(postgres_dial_t *dial, int events) {
    int err = listen_for(dial, events);
    if (err) fail_attempt(dial, uv_strerror(err));
}

static void step(postgres_dial_t *dial) {
    uv_poll_stop(dial->poll); /* the loop forgets the descriptor, which may be closed in here */
    switch (PQconnectPoll(dial->conn)) {
    case PGRES_POLLING_OK:
        succeed(dial);
        break;
    case PGRES_POLLING_READING:
        wait_for(dial, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        wait_for(dial, UV_WRITABLE);
        break;
    default:
        fail_attempt(dial, PQerrorMessage(dial->conn));
    }
}

static void on_limit(deadline_t *deadline) {
    postgres_dial_t *dial = LIST_OWNER(deadline, postgres_dial_t, limit);
    char host[POSTGRES_HOST_MAX + 16], sentence[WHY_MAX];
    postgres_host_text(host_of(dial), host, sizeof host);
    snprintf(sentence, sizeof sentence, "%.100s did not answer in time", host);
    if (dial->lookup) drop_lookup(dial); /* else its other addresses are still to be tried */
    fail_attempt(dial, sentence);
}

/* Nobody reads what a server says beside its answers; libpq would print it. */
static void ignore(void *data, const PGresult *notice) {
    (void)data;
    (void)notice;
}

static const char *session_of(const postgres_dial_t *dial) {
    if (strcmp(dial->url->session, "prefer-standby") != 0) return dial->url->session;
    return dial->second ? "any" : "standby";
}

/* The address may be NULL: the host is a socket's folder or an address itself. */
static PGconn *begin(postgres_dial_t *dial, const char *address) {
    const postgres_url_t *url = dial->url;
    const postgres_host_t *host = host_of(dial);
    const char *keywords[POSTGRES_KEYWORDS_MAX + 8], *values[POSTGRES_KEYWORDS_MAX + 8];
    int n = 0;
    const char *own[][2] = {{"host", host->name[0] ? host->name : NULL}, {"hostaddr", address},
        {"port", host->port[0] ? host->port : NULL}, {"target_session_attrs", session_of(dial)}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (!own[i][1]) continue;
        keywords[n] = own[i][0];
        values[n++] = own[i][1];
    }
    for (int i = 0; i < url->parameters; i++) {
        keywords[n] = url->keywords[i];
        values[n++] = url->values[i];
    }
    keywords[n] = values[n] = NULL;
    return PQconnectStartParams(keywords, values, 0);
}

/* Each of the addresses that are left gets its part of what is left of the host's time. */
static void limit_attempt(postgres_dial_t *dial, int left) {
    uint64_t now = loop_now(dial->loop);
    uint64_t rest = dial->host_until_ms > now ? dial->host_until_ms - now : 1;
    deadline_set(dial->loop, &dial->limit, now + rest / (uint64_t)(left ? left : 1));
}

static void attempt(postgres_dial_t *dial, const char *address, int left) {
    limit_attempt(dial, left);
    dial->conn = begin(dial, address);
    if (!dial->conn) {
        fail_attempt(dial, err_text(ERR_NO_MEMORY));
    } else if (PQstatus(dial->conn) == CONNECTION_BAD) {
        fail_attempt(dial, PQerrorMessage(dial->conn));
    } else {
        PQsetNoticeReceiver(dial->conn, ignore, NULL);
        wait_for(dial, UV_WRITABLE);
    }
}

static void next_address(postgres_dial_t *dial) {
    const struct addrinfo *info = dial->next;
    char address[NI_MAXHOST];
    int left = 0;
    for (const struct addrinfo *other = info; other; other = other->ai_next)
        left++;
    if (!info) {
        next_host(dial);
        return;
    }
    dial->next = info->ai_next;
    int err = getnameinfo(
        info->ai_addr, info->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST);
    if (err)
        fail_attempt(dial, gai_strerror(err));
    else
        attempt(dial, address, left);
}

static void on_looked_up(void *data, int err, struct addrinfo *found) {
    postgres_dial_t *dial = data;
    dial->lookup = NULL;
    deadline_clear(&dial->limit);
    dial->found = dial->next = found;
    if (err) {
        char host[POSTGRES_HOST_MAX + 16];
        postgres_host_text(host_of(dial), host, sizeof host);
        snprintf(dial->why, sizeof dial->why, "%.100s: %.90s", host, uv_strerror(err));
    }
    next_address(dial);
}

static void look_up(postgres_dial_t *dial, const char *name) {
    int err = lookup_start(&dial->lookup, dial->loop, name, 0, on_looked_up, dial);
    if (err)
        fail_attempt(dial, uv_strerror(err));
    else
        limit_attempt(dial, 1);
}

static bool is_address(const char *name) {
    struct sockaddr_storage address;
    return uv_ip4_addr(name, 0, (struct sockaddr_in *)&address) == 0 ||
           uv_ip6_addr(name, 0, (struct sockaddr_in6 *)&address) == 0;
}

static void next_host(postgres_dial_t *dial) {
    drop_lookup(dial);
    if (dial->tried == dial->url->count && !dial->second &&
        strcmp(dial->url->session, "prefer-standby") == 0) {
        dial->second = true;
        dial->tried = 0;
    }
    if (dial->tried == dial->url->count) {
        finish(dial, NULL);
        return;
    }
    dial->tried++;
    dial->host_until_ms = loop_now(dial->loop) + dial->share_ms;
    const postgres_host_t *host = host_of(dial);
    if (host->address[0])
        attempt(dial, host->address, 1);
    else if (is_address(host->name))
        attempt(dial, host->name, 1);
    else if (host->name[0] == '/' || host->name[0] == '@' || !host->name[0])
        attempt(dial, NULL, 1);
    else
        look_up(dial, host->name);
}

static void on_start(deferred_t *deferred) {
    next_host(LIST_OWNER(deferred, postgres_dial_t, start));
}

postgres_dial_t *postgres_dial_new(
    loop_t *loop, postgres_url_t *url, uint64_t connect_ms, postgres_dial_cb done, void *data) {
    postgres_dial_t *dial = calloc(1, sizeof *dial);
    if (!dial) return NULL;
    *dial = (postgres_dial_t){.loop = loop, .url = url, .done = done, .data = data};
    dial->first = url->last;
    dial->share_ms = connect_ms / (uint64_t)url->count;
    deferred_init(&dial->start, on_start);
    deadline_init(&dial->limit, on_limit);
    loop_defer(loop, &dial->start);
    return dial;
}
