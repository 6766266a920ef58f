/* proxy.c: matches addresses against the trusted networks and walks the forwarding headers from the right. */
#include "proxy.h"
#include "base/err.h"
#include <arpa/inet.h>

/* An address as 16 bytes: IPv4 is mapped (RFC 4291), so that one comparison serves both. */
static bool read_address(span_t text, unsigned char out[16]) {
    char copy[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof copy) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET6, copy, out) == 1) return true;
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    return inet_pton(AF_INET, copy, out + 12) == 1;
}

static bool read_network(span_t text, unsigned char out[16], uint64_t *bits) {
    span_t rest = text;
    span_t host = span_cut(&rest, '/');
    bool v4 = memchr(host.ptr, ':', host.len) == NULL;
    if (!read_address(host, out)) return false;
    *bits = 128;
    if (host.len == text.len) return true;
    if (span_to_u64(rest, bits) != 0 || *bits > (v4 ? 32 : 128)) return false;
    if (v4) *bits += 96;
    return true;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, uint64_t bits) {
    if (memcmp(a, b, bits / 8) != 0) return false;
    unsigned char mask = (unsigned char)(0xff00 >> (bits % 8));
    return bits % 8 == 0 || (a[bits / 8] & mask) == (b[bits / 8] & mask);
}

bool proxy_trusts(span_t networks, span_t address) {
    unsigned char wanted[16], network[16];
    uint64_t bits;
    if (!read_address(address, wanted)) return false;
    while (networks.len) {
        span_t one = span_trim(span_cut(&networks, ','));
        if (one.len && read_network(one, network, &bits) && same_bits(wanted, network, bits))
            return true;
    }
    return false;
}

int proxy_check(span_t networks, span_t *bad) {
    unsigned char network[16];
    uint64_t bits;
    while (networks.len) {
        *bad = span_trim(span_cut(&networks, ','));
        if (bad->len && !read_network(*bad, network, &bits)) return ERR_INVALID;
    }
    return 0;
}

/* Cuts the last element of a comma-separated list. */
static span_t cut_last(span_t *list) {
    size_t at = list->len;
    while (at > 0 && list->ptr[at - 1] != ',')
        at--;
    span_t last = {list->ptr + at, list->len - at};
    list->len = at ? at - 1 : 0;
    return span_trim(last);
}

static span_t unquoted(span_t text) {
    bool quoted = text.len > 1 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"';
    return quoted ? (span_t){text.ptr + 1, text.len - 2} : text;
}

/* "192.0.2.1:4711", "[2001:db8::1]:80" and quoted forms to the bare address. */
static span_t bare(span_t text) {
    text = unquoted(text);
    if (!text.len) return text;
    if (text.len && text.ptr[0] == '[') {
        text = (span_t){text.ptr + 1, text.len - 1};
        return span_cut(&text, ']');
    }
    const char *colon = memchr(text.ptr, ':', text.len);
    bool one = colon && !memchr(colon + 1, ':', text.len - (size_t)(colon + 1 - text.ptr));
    return one ? (span_t){text.ptr, (size_t)(colon - text.ptr)} : text;
}

/* The value of a parameter of one element of Forwarded (RFC 7239): for=…;proto=…;by=… */
static span_t parameter(span_t element, span_t name) {
    while (element.len) {
        span_t value = span_trim(span_cut(&element, ';'));
        span_t key = span_trim(span_cut(&value, '='));
        if (span_ieq(key, name)) return span_trim(value);
    }
    return (span_t){NULL, 0};
}

static span_t scheme_of(span_t text) {
    return span_ieq(unquoted(text), SPAN("https")) ? SPAN("https") : SPAN("http");
}

/* The list of a header, whose lines count as one list (RFC 9110, 5.3), element by element from the right. */
typedef struct list_end {
    const exchange_t *exchange;
    span_t name, rest;
    size_t next; /* headers before this index are not looked at yet */
} list_end_t;

static list_end_t list_end(const exchange_t *exchange, span_t name) {
    return (list_end_t){exchange, name, {"", 0}, exchange->nheaders};
}

/* False at the left end. */
static bool list_back(list_end_t *list, span_t *element) {
    while (!list->rest.len && list->next > 0) {
        const header_t *header = &list->exchange->headers[--list->next];
        if (span_ieq(header->name, list->name)) list->rest = header->value;
    }
    bool some = list->rest.len > 0;
    if (some) *element = cut_last(&list->rest);
    return some;
}

/* Each trusted proxy vouches for the element it appended, not for what stands left of it. */
static void walk(
    span_t networks, list_end_t list, bool forwarded, span_t *address, span_t *scheme) {
    unsigned char parsed[16];
    span_t element;
    while (proxy_trusts(networks, *address) && list_back(&list, &element)) {
        span_t who = bare(forwarded ? parameter(element, SPAN("for")) : element);
        span_t proto = forwarded ? parameter(element, SPAN("proto")) : (span_t){NULL, 0};
        if (!who.len || !read_address(who, parsed)) return;
        *address = who;
        if (proto.len) *scheme = scheme_of(proto);
    }
}

void proxy_client(span_t networks, exchange_t *exchange, span_t *address, span_t *scheme) {
    *address = span_of(exchange->peer);
    *scheme = SPAN("http");
    if (!networks.len || !proxy_trusts(networks, *address)) return;
    if (exchange_header(exchange, SPAN("forwarded")).ptr) {
        walk(networks, list_end(exchange, SPAN("forwarded")), true, address, scheme);
        return;
    }
    walk(networks, list_end(exchange, SPAN("x-forwarded-for")), false, address, scheme);
    list_end_t protos = list_end(exchange, SPAN("x-forwarded-proto"));
    span_t proto;
    if (list_back(&protos, &proto)) *scheme = scheme_of(proto);
}
