/* room_limits.c: fills the rooms' limits from the settings. */
#include "room_limits.h"
#include <sys/resource.h>

#define KEPT_FOR_STORES 64

void limits_of_rules(const config_t *config, sandbox_limits_t *out) {
    sandbox_limits_default(out);
    out->time_ms = (uint64_t)config->rule_ms;
    out->instructions = (uint64_t)config->rule_instructions;
    out->memory = (size_t)config->rule_memory_bytes;
    out->allocated = (uint64_t)config->rule_allocated_bytes;
}

static size_t most_connections(void) {
    struct rlimit files = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &files);
    rlim_t share = files.rlim_cur / 10 * 8;
    return share > 2 * KEPT_FOR_STORES ? (size_t)share - KEPT_FOR_STORES : KEPT_FOR_STORES;
}

void limits_of_net(const config_t *config, net_limits_t *out) {
    net_limits_default(out);
    out->line_max = (size_t)config->line_max_bytes;
    out->headers_max = (size_t)config->headers_max_bytes;
    out->fields_max = (size_t)config->fields_max;
    out->body_max = (size_t)config->body_max_bytes;
    out->head_ms = (uint64_t)config->head_ms;
    out->body_rate = (uint64_t)config->body_rate_bytes;
    out->idle_ms = (uint64_t)config->idle_ms;
    out->requests_max = (uint64_t)config->requests_max;
    out->pipeline_max = (size_t)config->pipeline_max;
    out->write_ms = (uint64_t)config->write_ms;
    size_t most = (size_t)config->connections_max;
    out->conns_max = most ? most : most_connections();
}
