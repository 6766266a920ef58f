/* url.c: what a PostgreSQL URL says: libpq reads it; hosts and the driver's own parameter are taken out. */
#include "postgres/url.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"

typedef struct reading {
    postgres_url_t *url;
    const char *fault; /* the first */
    const char *hosts, *addresses, *ports;
} reading_t;

static bool has_scheme(span_t text) {
    return span_starts(text, SPAN("postgres://")) || span_starts(text, SPAN("postgresql://"));
}

/* Copies all but the driver's own parameter, which libpq would refuse. */
static void take_own(reading_t *reading, span_t text, char *out) {
    span_t before = span_cut(&text, '?');
    size_t len = before.len;
    char mark = '?';
    memcpy(out, before.ptr, before.len);
    reading->url->prepare = true;
    while (text.len) {
        span_t option = span_cut(&text, '&');
        if (span_eq(option, SPAN("prepare=off"))) {
            reading->url->prepare = false;
        } else if (span_starts(option, SPAN("prepare=")) && !span_eq(option, SPAN("prepare=on"))) {
            reading->fault = "prepare is on or off";
        } else if (!span_starts(option, SPAN("prepare="))) {
            out[len++] = mark;
            memcpy(out + len, option.ptr, option.len);
            len += option.len;
            mark = '&';
        }
    }
    out[len] = '\0';
}

static void set(postgres_url_t *url, const char *keyword, const char *value) {
    if (url->parameters == POSTGRES_KEYWORDS_MAX) return;
    url->keywords[url->parameters] = keyword;
    url->values[url->parameters++] = value;
}

static bool has(const postgres_url_t *url, const char *keyword) {
    for (int i = 0; i < url->parameters; i++)
        if (strcmp(url->keywords[i], keyword) == 0) return true;
    return false;
}

static void set_default(postgres_url_t *url, const char *keyword, const char *value) {
    if (!has(url, keyword)) set(url, keyword, value);
}

static void take_option(reading_t *reading, const PQconninfoOption *option) {
    postgres_url_t *url = reading->url;
    if (strcmp(option->keyword, "host") == 0)
        reading->hosts = option->val;
    else if (strcmp(option->keyword, "hostaddr") == 0)
        reading->addresses = option->val;
    else if (strcmp(option->keyword, "port") == 0)
        reading->ports = option->val;
    else if (strcmp(option->keyword, "target_session_attrs") == 0)
        snprintf(url->session, sizeof url->session, "%s", option->val);
    else if (strcmp(option->keyword, "service") == 0)
        reading->fault = "service files are not read: name the host in the URL";
    else if (strcmp(option->keyword, "connect_timeout") != 0) /* the driver's own business */
        set(url, option->keyword, option->val);
}

static void copy(reading_t *reading, char *out, size_t size, span_t text) {
    if (text.len >= size)
        reading->fault = "a host or a port is too long";
    else
        snprintf(out, size, "%.*s", (int)text.len, text.ptr);
}

static int items(const char *list) {
    int count = 1;
    for (; list && *list; list++)
        count += *list == ',';
    return count;
}

/* Empty, or a number that is one. */
static bool is_port(span_t text) {
    uint64_t number = 0;
    return !text.len || (span_to_u64(text, &number) == 0 && number > 0 && number <= 65535);
}

/* As libpq: lists of hosts and of addresses are of one length, one port is for all. */
static void take_hosts(reading_t *reading) {
    postgres_url_t *url = reading->url;
    span_t hosts = span_of(reading->hosts ? reading->hosts : "");
    span_t addresses = span_of(reading->addresses ? reading->addresses : "");
    span_t ports = span_of(reading->ports ? reading->ports : ""), port = ports;
    url->count = items(addresses.len ? addresses.ptr : hosts.ptr);
    int port_count = items(ports.ptr);
    if (url->count > POSTGRES_HOSTS_MAX) reading->fault = "there are too many hosts";
    if (hosts.len && addresses.len && items(hosts.ptr) != url->count)
        reading->fault = "host and hostaddr differ in number";
    if (port_count != 1 && port_count != url->count)
        reading->fault = "hosts and ports differ in number";
    for (int i = 0; i < url->count && !reading->fault; i++) {
        postgres_host_t *host = &url->hosts[i];
        if (port_count > 1 || i == 0) port = span_cut(&ports, ',');
        copy(reading, host->name, sizeof host->name, span_cut(&hosts, ','));
        copy(reading, host->address, sizeof host->address, span_cut(&addresses, ','));
        copy(reading, host->port, sizeof host->port, port);
        if (!is_port(port)) reading->fault = "a port is not a number from 1 to 65535";
    }
}

/* libpq's sentences may quote the URL; only those that name a parameter are passed on. */
static void explain(const char *sentence, char *why, size_t size) {
    static const char PREFIX[] = "invalid URI query parameter";
    bool harmless = sentence && strncmp(sentence, PREFIX, sizeof PREFIX - 1) == 0;
    snprintf(why, size, "the PostgreSQL URL: %s", harmless ? sentence : "it cannot be read");
    why[strcspn(why, "\n")] = '\0';
}

/* Kerberos would look for its tickets in files and on the network while the loop stands still. */
static void set_defaults(postgres_url_t *url) {
    set_default(url, "gssencmode", "disable");
    set_default(url, "fallback_application_name", "perigee");
    set_default(url, "client_encoding", "UTF8");
    set_default(url, "keepalives_idle", "15");
    set_default(url, "keepalives_interval", "15");
    url->session_given = url->session[0];
    if (!url->session_given)
        snprintf(url->session, sizeof url->session, "%s", url->count > 1 ? "read-write" : "any");
}

static int fail(postgres_url_t *url) {
    postgres_url_wipe(url);
    return ERR_INVALID;
}

static int parse(reading_t *reading, char *text, char *why, size_t size) {
    postgres_url_t *url = reading->url;
    char *sentence = NULL;
    url->parsed = reading->fault ? NULL : PQconninfoParse(text, &sentence);
    if (!url->parsed && !reading->fault) {
        explain(sentence, why, size);
        PQfreemem(sentence);
        return fail(url);
    }
    for (PQconninfoOption *option = url->parsed; option && option->keyword; option++)
        if (option->val && option->val[0]) take_option(reading, option);
    if (!reading->fault) take_hosts(reading);
    if (!reading->fault) {
        set_defaults(url);
        return 0;
    }
    snprintf(why, size, "the PostgreSQL URL: %s", reading->fault);
    return fail(url);
}

int postgres_url_parse(span_t text, postgres_url_t *url, char *why, size_t size) {
    memset(url, 0, sizeof *url);
    reading_t reading = {.url = url};
    char *copied = malloc(text.len + 1);
    snprintf(why, size, "%s", err_text(ERR_NO_MEMORY));
    if (!copied) return ERR_NO_MEMORY;
    if (!has_scheme(text)) reading.fault = "it does not begin with postgres://";
    take_own(&reading, text, copied);
    int err = parse(&reading, copied, why, size);
    sodium_memzero(copied, text.len);
    free(copied);
    return err;
}

void postgres_url_wipe(postgres_url_t *url) {
    for (PQconninfoOption *option = url->parsed; option && option->keyword; option++)
        if (option->val) sodium_memzero(option->val, strlen(option->val));
    PQconninfoFree(url->parsed);
    url->parsed = NULL;
    url->parameters = 0;
}

void postgres_host_text(const postgres_host_t *host, char *out, size_t size) {
    const char *name = host->name[0] ? host->name : host->address;
    bool v6 = strchr(name, ':') != NULL;
    snprintf(out, size, v6 ? "[%s]:%s" : "%s:%s", name[0] ? name : "local",
        host->port[0] ? host->port : "5432");
}

bool postgres_url_writes(const postgres_url_t *url) {
    return strcmp(url->session, "read-write") == 0 || strcmp(url->session, "primary") == 0;
}
