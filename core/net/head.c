/* head.c: the checks of a complete head that llhttp leaves to the server, and the parts of its target. */
#include "net/conn.h"
#include "base/err.h"

typedef struct authority {
    span_t host, port; /* port is empty when there is none */
} authority_t;

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool port_ok(span_t port) {
    uint64_t number = 0;
    if (port.len == 0) return true; /* RFC 3986 lets "host:" through */
    return port.len <= 5 && span_to_u64(port, &number) == ERR_OK && number <= 65535;
}

/* Cuts "[::1]:80" behind the bracket. False when it is no IPv6 literal. */
static bool split_literal(span_t text, authority_t *out) {
    const char *end = memchr(text.ptr, ']', text.len);
    if (end == NULL || end - text.ptr < 3) return false;
    for (const char *c = text.ptr + 1; c < end; c++)
        if (!is_hex(*c) && *c != ':' && *c != '.') return false;
    out->host = (span_t){text.ptr, (size_t)(end + 1 - text.ptr)};
    span_t rest = {end + 1, text.len - out->host.len};
    if (rest.len > 0 && rest.ptr[0] != ':') return false;
    out->port = rest.len > 0 ? (span_t){rest.ptr + 1, rest.len - 1} : rest;
    return port_ok(out->port);
}

/* Stricter than RFC 3986: what no DNS name holds (user info, percent signs, lists) is refused, not guessed at. */
static bool split_authority(span_t text, authority_t *out) {
    if (text.len == 0) return false;
    if (text.ptr[0] == '[') return split_literal(text, out);
    out->port = text;
    out->host = span_cut(&out->port, ':');
    if (out->host.len == 0 || out->host.len > NET_HOST_MAX) return false;
    for (size_t i = 0; i < out->host.len; i++) {
        char c = out->host.ptr[i];
        if (!is_alnum(c) && c != '-' && c != '.' && c != '_') return false;
    }
    return port_ok(out->port);
}

static void take_host(slot_t *slot, span_t host) {
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        slot->host[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    slot->x.host = (span_t){slot->host, host.len};
}

static bool find_one(const exchange_t *x, span_t name, span_t *value, size_t *count) {
    *count = 0;
    for (size_t i = 0; i < x->nheaders; i++) {
        if (!span_ieq(x->headers[i].name, name)) continue;
        if ((*count)++ == 0) *value = x->headers[i].value;
    }
    return *count > 0;
}

static int check_host(slot_t *slot, const authority_t *target, const char **detail) {
    exchange_t *x = &slot->x;
    span_t value = {NULL, 0};
    size_t count = 0;
    authority_t header = {{NULL, 0}, {NULL, 0}};
    if (find_one(x, SPAN("host"), &value, &count)) {
        *detail = "the Host header is repeated";
        if (count > 1) return ERR_INVALID;
        *detail = "the Host header is not valid";
        if (!split_authority(value, &header)) return ERR_INVALID;
    } else if (x->minor == 1) {
        *detail = "the Host header is missing";
        return ERR_INVALID;
    }
    *detail = "the Host header is not the target's host";
    bool differs = target->host.len > 0 && count == 1 && !span_ieq(target->host, header.host);
    if (differs) return ERR_INVALID;
    take_host(slot, target->host.len > 0 ? target->host : header.host);
    return ERR_OK;
}

static void split_path(exchange_t *x, span_t text) {
    x->query = text;
    x->path = span_cut(&x->query, '?');
    if (x->path.len == 0) x->path = SPAN("/");
}

/* "http://host:port/path?query" */
static int split_absolute(exchange_t *x, size_t scheme, authority_t *target) {
    span_t rest = {x->target.ptr + scheme, x->target.len - scheme};
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?')
        len++;
    if (!split_authority((span_t){rest.ptr, len}, target)) return ERR_INVALID;
    split_path(x, (span_t){rest.ptr + len, rest.len - len});
    return ERR_OK;
}

static size_t scheme_length(span_t target) {
    static const span_t schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < 2; i++) {
        span_t start = {target.ptr, schemes[i].len};
        if (target.len > start.len && span_ieq(start, schemes[i])) return start.len;
    }
    return 0;
}

static int check_target(exchange_t *x, authority_t *target, const char **detail) {
    *detail = "the request target has a character that must be percent-encoded";
    for (size_t i = 0; i < x->target.len; i++) {
        unsigned char c = (unsigned char)x->target.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '#') return ERR_INVALID;
    }
    *detail = "the request target is not valid";
    if (x->target.len == 0) return ERR_INVALID;
    if (x->target.ptr[0] == '/') {
        split_path(x, x->target);
        return ERR_OK;
    }
    if (x->method == METHOD_OPTIONS && span_eq(x->target, SPAN("*"))) {
        x->path = x->target;
        return ERR_OK;
    }
    size_t scheme = scheme_length(x->target);
    return scheme == 0 ? ERR_INVALID : split_absolute(x, scheme, target);
}

static method_t method_of(const llhttp_t *parser) {
    switch (parser->method) {
    case HTTP_GET:
        return METHOD_GET;
    case HTTP_HEAD:
        return METHOD_HEAD;
    case HTTP_POST:
        return METHOD_POST;
    case HTTP_PUT:
        return METHOD_PUT;
    case HTTP_PATCH:
        return METHOD_PATCH;
    case HTTP_DELETE:
        return METHOD_DELETE;
    case HTTP_OPTIONS:
        return METHOD_OPTIONS;
    default:
        return METHOD_OTHER;
    }
}

static int check_line(
    slot_t *slot, const llhttp_t *parser, authority_t *target, const char **detail) {
    exchange_t *x = &slot->x;
    x->minor = parser->http_minor;
    x->method = method_of(parser);
    x->method_text = span_of(llhttp_method_name(parser->method));
    *detail = "the request line has no version";
    if (parser->http_major != 1) return ERR_INVALID;
    *detail = "the server is no proxy";
    if (parser->method == HTTP_CONNECT) return ERR_NOT_IMPLEMENTED;
    return check_target(x, target, detail);
}

/* Of all Transfer-Encoding lists together: how many codings, how many `chunked`, and whether that is the last. */
static size_t count_codings(const exchange_t *x, size_t *chunked, bool *last) {
    size_t codings = 0;
    *chunked = 0;
    *last = false;
    for (size_t i = 0; i < x->nheaders; i++) {
        if (!span_ieq(x->headers[i].name, SPAN("transfer-encoding"))) continue;
        span_t list = x->headers[i].value;
        while (list.len > 0) {
            span_t coding = span_trim(span_cut(&list, ','));
            codings++;
            *last = span_ieq(coding, SPAN("chunked"));
            if (*last) (*chunked)++;
        }
    }
    return codings;
}

static int check_coding(const exchange_t *x, const char **detail) {
    if (exchange_header(x, SPAN("transfer-encoding")).ptr == NULL) return ERR_OK;
    size_t chunked = 0;
    bool last = false;
    size_t codings = count_codings(x, &chunked, &last);
    *detail = "Transfer-Encoding belongs to HTTP/1.1";
    if (x->minor == 0) return ERR_INVALID;
    *detail = "the transfer coding does not end with chunked";
    if (!last || chunked != 1) return ERR_INVALID;
    *detail = "Transfer-Encoding and Content-Length exclude each other";
    if (exchange_header(x, SPAN("content-length")).ptr != NULL) return ERR_INVALID;
    *detail = "the server knows no transfer coding but chunked";
    return codings == 1 ? ERR_OK : ERR_NOT_IMPLEMENTED;
}

static int check_length(const exchange_t *x, const char **detail) {
    span_t value = {NULL, 0};
    size_t count = 0;
    uint64_t length = 0;
    if (!find_one(x, SPAN("content-length"), &value, &count)) return ERR_OK;
    *detail = "the Content-Length is not valid";
    return count == 1 && span_to_u64(value, &length) == ERR_OK ? ERR_OK : ERR_INVALID;
}

static int check_expect(slot_t *slot, const char **detail) {
    span_t value = {NULL, 0};
    size_t count = 0;
    /* An HTTP/1.0 client cannot expect anything (RFC 9110, 10.1.1). */
    if (slot->x.minor == 0 || !find_one(&slot->x, SPAN("expect"), &value, &count)) return ERR_OK;
    *detail = "the server meets no expectation but 100-continue";
    if (count > 1 || !span_ieq(value, SPAN("100-continue"))) return ERR_EXPECTATION_FAILED;
    slot->expects = true;
    return ERR_OK;
}

static int check_body(slot_t *slot, const llhttp_t *parser, const char **detail) {
    const net_t *net = slot->x.conn->net;
    if ((parser->flags & (F_CONTENT_LENGTH | F_CHUNKED)) == 0) return ERR_OK;
    if (net->ops.body_limit != NULL)
        slot->body_limit = net->ops.body_limit(net->ops.data, &slot->x);
    *detail = "the body is too large";
    bool known = (parser->flags & F_CONTENT_LENGTH) != 0;
    return known && parser->content_length > slot->body_limit ? ERR_TOO_LARGE : ERR_OK;
}

int head_check(slot_t *slot, const llhttp_t *parser, const char **detail) {
    authority_t target = {{NULL, 0}, {NULL, 0}};
    int err = check_line(slot, parser, &target, detail);
    if (err == ERR_OK) err = check_host(slot, &target, detail);
    if (err == ERR_OK) err = check_length(&slot->x, detail);
    if (err == ERR_OK) err = check_coding(&slot->x, detail);
    if (err == ERR_OK) err = check_expect(slot, detail);
    if (err == ERR_OK) err = check_body(slot, parser, detail);
    return err;
}
