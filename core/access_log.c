/* access_log.c: writes the structured line of a finished request into the log's buffer. */
#include "access_log.h"
#include "base/clock.h"
#include "base/log.h"

static void member(buf_t *line, const char *name, span_t value) {
    if (!value.len) return;
    buf_text(line, ",\"");
    buf_text(line, name);
    buf_text(line, "\":");
    buf_json(line, value);
}

/* Milliseconds with three digits, by integers: a printf of a double costs more than the rest of the line. */
static void milliseconds(buf_t *line, const char *name, uint64_t ns) {
    uint64_t us = ns / 1000;
    buf_text(line, ",\"");
    buf_text(line, name);
    buf_text(line, "\":");
    buf_u64(line, us / 1000);
    char digits[5] = {
        '.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10), (char)('0' + us % 10), '\0'};
    buf_put(line, digits, 4);
}

static void about_request(buf_t *line, const request_t *request) {
    member(line, "requestId", span_of(request->id));
    member(line, "traceId", span_of(request->trace));
    if (request->settings) member(line, "tenant", request->settings->slug);
    member(line, "route", request->pattern);
    member(line, "client", request->address);
    if (request->waited_ns) milliseconds(line, "storesMs", request->waited_ns);
    if (request->edition) member(line, "ruleEdition", span_of(request->edition));
}

void access_log_write(const exchange_t *exchange, const request_t *request) {
    buf_t *line = log_begin(LOG_INFO, "request");
    if (!line) return;
    member(line, "method", exchange->method_text);
    buf_text(line, ",\"status\":");
    buf_i64(line, exchange->status); /* 0: the client left before the answer */
    milliseconds(line, "ms", clock_mono_ns() - exchange->started_ns);
    if (request) about_request(line, request);
    log_end();
}
