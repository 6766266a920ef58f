/* request.c: what a request's head says about it, kept for as long as the request lives. */
#include "request.h"
#include "base/ident.h"
#include "base/err.h"
#include "proxy.h"

#define SESSION_MIN 16
#define SESSION_MAX 128

static bool is_word(char c, const char *also) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr(also, c) != NULL);
}

static bool all_words(span_t text, const char *also) {
    for (size_t i = 0; i < text.len; i++)
        if (!is_word(text.ptr[i], also)) return false;
    return true;
}

/* W3C Trace Context: version-traceid-parentid-flags; the trace id is 32 hexadecimal digits, not all zero. */
static bool read_traceparent(span_t text, char out[33]) {
    if (text.len < 55 || text.ptr[2] != '-' || text.ptr[35] != '-') return false;
    bool zero = true;
    for (size_t i = 3; i < 35; i++) {
        char c = text.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        zero = zero && c == '0';
    }
    if (zero) return false;
    memcpy(out, text.ptr + 3, 32);
    out[32] = '\0';
    return true;
}

static void put_hex(char out[16], uint64_t value) {
    for (int i = 15; i >= 0; i--, value >>= 4)
        out[i] = "0123456789abcdef"[value & 15];
}

/* One random start per process and a counter: unique without asking for randomness on each request. */
static void make_trace(char out[33]) {
    static uint64_t start[2], count;
    if (!start[0]) {
        char token[37];
        ident_uuid(token);
        start[0] = map_hash(span_of(token)) | 1;
        start[1] = map_hash((span_t){token, 35});
    }
    put_hex(out, start[0]);
    put_hex(out + 16, start[1] + ++count);
    out[32] = '\0';
}

static void read_ids(request_t *request) {
    const exchange_t *exchange = request->exchange;
    if (!read_traceparent(exchange_header(exchange, SPAN("traceparent")), request->trace))
        make_trace(request->trace);
    span_t id = exchange_header(exchange, SPAN("x-request-id"));
    if (id.len == 0 || id.len > REQUEST_ID_MAX || !all_words(id, "._-"))
        id = span_of(request->trace);
    memcpy(request->id, id.ptr, id.len);
    request->id[id.len] = '\0';
}

/* The exchange moves its spans when the request waits; what is read from the head must not dangle then. */
static span_t keep(request_t *request, span_t text) {
    char *copy = arena_dup(&request->exchange->arena, text.ptr, text.len);
    return (span_t){copy, copy ? text.len : 0};
}

static bool is_session(span_t text) {
    return text.len >= SESSION_MIN && text.len <= SESSION_MAX && all_words(text, "._~-");
}

static span_t cookie(span_t header, span_t name) {
    while (header.len) {
        span_t value = span_trim(span_cut(&header, ';'));
        span_t key = span_cut(&value, '=');
        if (span_eq(key, name)) return value;
    }
    return (span_t){NULL, 0};
}

static void read_session(request_t *request) {
    span_t found = exchange_header(request->exchange, SPAN("x-session-id"));
    if (!found.ptr)
        found = cookie(exchange_header(request->exchange, SPAN("cookie")), SPAN("perigee_session"));
    if (is_session(found)) request->session = keep(request, found);
}

void request_read_head(request_t *request, const config_t *config) {
    read_ids(request);
    read_session(request);
    proxy_client(
        span_of(config->trusted_proxies), request->exchange, &request->address, &request->scheme);
    request->address = keep(request, request->address);
}

int request_match(request_t *request, const router_t *router) {
    exchange_t *exchange = request->exchange;
    route_match_t *match = &request->match;
    int err = router_match(router, exchange->method_text, exchange->path, &exchange->arena, match);
    if (err || !match->route) return err;
    request->pattern = keep(request, match->route->pattern);
    bool whole = request->pattern.ptr != NULL;
    for (int i = 0; i < match->nparams; i++) {
        match->values[i] = keep(request, match->values[i]);
        whole = whole && match->values[i].ptr;
    }
    return whole ? 0 : ERR_NO_MEMORY;
}

uint64_t request_cache_ms(const request_t *request, uint64_t now_ms, uint64_t most_ms) {
    uint64_t least_ms = most_ms / 2;
    if (!request) return most_ms;
    uint64_t end_ms = request->arrived_ms + most_ms;
    return end_ms > now_ms + least_ms ? end_ms - now_ms : least_ms;
}

bool request_query_ok(const request_t *request) {
    span_t query = request->exchange->query;
    if (!query.len || !memchr(query.ptr, '%', query.len)) return true; /* a target is ASCII */
    char *text = arena_alloc(&request->exchange->arena, query.len);
    if (!text) return false;
    span_t plain = {text, span_unescape(query, text)};
    return !memchr(plain.ptr, '\0', plain.len) && span_is_utf8(plain);
}
