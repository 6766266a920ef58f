/* tail.c: one log line per line of a tenant's script. */
#include "tail.h"
#include "base/log.h"

void tail_write(void *data, span_t slug, span_t line) {
    (void)data;
    buf_t *out = log_begin(LOG_INFO, "tenant_log");
    if (!out) return;
    buf_text(out, ",\"tenant\":");
    buf_json(out, slug);
    buf_text(out, ",\"line\":");
    buf_json(out, line);
    log_end();
}
