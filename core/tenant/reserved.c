/* reserved.c: tells the server's own paths. */
#include "tenant/reserved.h"

bool path_reserved(span_t path) {
    static const char *const PATHS[] = {
        "/api", "/admin", "/docs", "/healthz", "/readyz", "/metrics", "/openapi.json", "/webhooks"};
    for (size_t i = 0; i < sizeof(PATHS) / sizeof(*PATHS); i++) {
        span_t prefix = span_of(PATHS[i]);
        if (path.len < prefix.len || !span_ieq((span_t){path.ptr, prefix.len}, prefix)) continue;
        if (path.len == prefix.len || path.ptr[prefix.len] == '/') return true;
    }
    return false;
}
