/* url.c: takes a Redis URL apart; no message of it repeats the text, which may hold a password. */
#include "redis/url.h"
#include <sodium.h>
#include <stdio.h>
#include "base/err.h"

#define SERVER_PORT 6379
#define SENTINEL_PORT 26379
#define DB_MAX 1000000

typedef struct reading {
    redis_url_t *url;
    bool local; /* a Unix socket */
    const char *fault;
} reading_t;

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes into out; a NUL would end the text early and is refused. */
static bool decode(span_t text, char *out, size_t size) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? digit(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? digit(text.ptr[i + 2]) : -1;
            if (low < 0) return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || len + 1 >= size) return false;
        out[len++] = c;
    }
    out[len] = '\0';
    return true;
}

static void text_of(reading_t *reading, span_t text, char *out, size_t size, const char *fault) {
    if (!decode(text, out, size)) reading->fault = fault;
}

static bool number(span_t text, uint64_t max, int *out) {
    uint64_t value;
    if (span_to_u64(text, &value) != 0 || value > max) return false;
    *out = (int)value;
    return true;
}

static void read_db(reading_t *reading, span_t text) {
    if (!number(text, DB_MAX, &reading->url->db)) reading->fault = "the database is not a number";
}

static bool yes(reading_t *reading, span_t value) {
    if (!span_eq(value, SPAN("yes")) && !span_eq(value, SPAN("no")))
        reading->fault = "an option is neither yes nor no";
    return span_eq(value, SPAN("yes"));
}

static void read_protocol(reading_t *reading, span_t value) {
    if (!span_eq(value, SPAN("2")) && !span_eq(value, SPAN("3")))
        reading->fault = "resp is neither 2 nor 3";
    reading->url->resp2 = span_eq(value, SPAN("2"));
}

static void read_option(reading_t *reading, span_t name, span_t value) {
    redis_url_t *url = reading->url;
    const struct {
        const char *name;
        char *out;
        size_t size;
    } texts[] = {
        {"ca", url->ca, sizeof url->ca},
        {"cert", url->cert, sizeof url->cert},
        {"key", url->key, sizeof url->key},
        {"name", url->name, sizeof url->name},
        {"sentinel_user", url->sentinel_user, sizeof url->sentinel_user},
        {"sentinel_password", url->sentinel_password, sizeof url->sentinel_password},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!span_eq(name, span_of(texts[i].name))) continue;
        text_of(reading, value, texts[i].out, texts[i].size, "an option's value is not valid");
        return;
    }
    if (span_eq(name, SPAN("db")))
        read_db(reading, value);
    else if (span_eq(name, SPAN("resp")))
        read_protocol(reading, value);
    else if (span_eq(name, SPAN("replicas")))
        url->replicas = yes(reading, value);
    else
        /* Its name is not said: it may be the end of a password with a question mark. */
        reading->fault =
            "an option is none of db, resp, replicas, ca, cert, key, name, sentinel_user and "
            "sentinel_password";
}

static void read_options(reading_t *reading, span_t text) {
    while (text.len && !reading->fault) {
        span_t value = span_cut(&text, '&');
        span_t name = span_cut(&value, '=');
        read_option(reading, name, value);
    }
}

static span_t scheme(reading_t *reading, span_t text) {
    static const struct {
        const char *prefix;
        redis_kind_t kind;
        bool tls, local;
    } schemes[] = {
        {"redis://", REDIS_SINGLE, false, false},
        {"rediss://", REDIS_SINGLE, true, false},
        {"unix://", REDIS_SINGLE, false, true},
        {"redis+unix://", REDIS_SINGLE, false, true},
        {"redis+cluster://", REDIS_CLUSTER, false, false},
        {"rediss+cluster://", REDIS_CLUSTER, true, false},
        {"redis+sentinel://", REDIS_SENTINEL, false, false},
        {"rediss+sentinel://", REDIS_SENTINEL, true, false},
    };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        span_t prefix = span_of(schemes[i].prefix);
        if (!span_starts(text, prefix)) continue;
        reading->url->kind = schemes[i].kind;
        reading->url->tls = schemes[i].tls;
        reading->local = schemes[i].local;
        return (span_t){text.ptr + prefix.len, text.len - prefix.len};
    }
    reading->fault = "the scheme is none of redis, rediss, unix, redis+cluster and redis+sentinel";
    return text;
}

/* Up to the last @ that no slash and no question mark precedes: a password may hold an @ that nobody escaped. */
static span_t credentials(reading_t *reading, span_t text) {
    redis_url_t *url = reading->url;
    size_t at = text.len;
    for (size_t i = 0; i < text.len && text.ptr[i] != '/' && text.ptr[i] != '?'; i++)
        if (text.ptr[i] == '@') at = i;
    if (at == text.len) return text;
    span_t password = {text.ptr, at};
    span_t user = span_cut(&password, ':');
    const char *fault = "the user or the password is too long or not percent-encoded";
    text_of(reading, user, url->user, sizeof url->user, fault);
    text_of(reading, password, url->password, sizeof url->password, fault);
    if (user.len && !password.len) reading->fault = "a user needs a password";
    return (span_t){text.ptr + at + 1, text.len - at - 1};
}

/* host, host:port, [address] or [address]:port */
static void read_endpoint(reading_t *reading, span_t text) {
    redis_url_t *url = reading->url;
    redis_endpoint_t *at = &url->at[url->count];
    span_t host = text, port;
    if (text.len && text.ptr[0] == '[') {
        host = span_cut(&text, ']');
        host = (span_t){host.ptr + 1, host.len - 1};
        if (text.len && text.ptr[0] != ':')
            reading->fault = "an address in brackets is not followed by a port";
        port = text.len ? (span_t){text.ptr + 1, text.len - 1} : text;
    } else {
        host = span_cut(&text, ':');
        port = text;
    }
    at->port = url->kind == REDIS_SENTINEL ? SENTINEL_PORT : SERVER_PORT;
    if (port.len && (!number(port, 65535, &at->port) || at->port == 0))
        reading->fault = "a port is not a number from 1 to 65535";
    text_of(reading, host, at->host, sizeof at->host, "a host is not valid");
    if (!at->host[0] && url->kind == REDIS_SINGLE) snprintf(at->host, sizeof at->host, "127.0.0.1");
    if (!at->host[0]) reading->fault = "a host is missing";
    url->count++;
}

static void read_endpoints(reading_t *reading, span_t text) {
    if (reading->url->kind == REDIS_SINGLE) {
        read_endpoint(reading, text);
        return;
    }
    do {
        if (reading->url->count == REDIS_ENDPOINTS_MAX)
            reading->fault = "there are too many hosts";
        else
            read_endpoint(reading, span_cut(&text, ','));
    } while (text.len && !reading->fault);
}

static void read_path(reading_t *reading, span_t path) {
    redis_url_t *url = reading->url;
    if (url->kind == REDIS_SENTINEL) {
        span_t master = span_cut(&path, '/');
        text_of(reading, master, url->master, sizeof url->master, "the master's name is not valid");
        if (!url->master[0]) reading->fault = "the master's name is missing";
    }
    if (path.len) read_db(reading, path);
}

static void read_local(reading_t *reading, span_t text) {
    redis_endpoint_t *at = &reading->url->at[0];
    text_of(reading, text, at->host, sizeof at->host, "the socket's path is not valid");
    if (at->host[0] != '/') reading->fault = "the socket's path does not begin with a slash";
    if (strlen(at->host) > 107) reading->fault = "the socket's path is too long";
    reading->url->count = 1;
}

static void read_all(reading_t *reading, span_t text) {
    text = scheme(reading, text);
    if (reading->fault) return;
    text = credentials(reading, text);
    span_t before = span_cut(&text, '?'), options = text;
    if (reading->local) {
        read_local(reading, before);
    } else {
        span_t hosts = span_cut(&before, '/');
        read_endpoints(reading, hosts);
        if (!reading->fault) read_path(reading, before);
    }
    if (!reading->fault) read_options(reading, options);
}

/* What no part says alone. */
static void check(reading_t *reading) {
    const redis_url_t *url = reading->url;
    if (url->kind == REDIS_CLUSTER && url->db) reading->fault = "a Cluster has only database 0";
    if (!url->cert[0] != !url->key[0]) reading->fault = "cert and key go together";
    if (!url->tls && (url->ca[0] || url->cert[0] || url->name[0]))
        reading->fault = "ca, cert, key and name are for rediss";
    if (url->kind != REDIS_SENTINEL && (url->sentinel_user[0] || url->sentinel_password[0]))
        reading->fault = "sentinel_user and sentinel_password are for redis+sentinel";
}

int redis_url_parse(span_t text, redis_url_t *url, char *why, size_t size) {
    memset(url, 0, sizeof *url);
    reading_t reading = {.url = url};
    read_all(&reading, text);
    if (!reading.fault) check(&reading);
    if (!reading.fault) return 0;
    redis_url_wipe(url);
    snprintf(why, size, "the Redis URL: %s", reading.fault);
    return ERR_INVALID;
}

void redis_url_wipe(redis_url_t *url) {
    sodium_memzero(url->password, sizeof url->password);
    sodium_memzero(url->sentinel_password, sizeof url->sentinel_password);
}

void redis_endpoint_text(const redis_endpoint_t *at, char *out, size_t size) {
    bool v6 = strchr(at->host, ':') != NULL;
    if (at->port)
        snprintf(out, size, v6 ? "[%s]:%d" : "%s:%d", at->host, at->port);
    else
        snprintf(out, size, "%s", at->host);
}

bool redis_endpoint_eq(const redis_endpoint_t *a, const redis_endpoint_t *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}
