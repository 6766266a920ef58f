/* rule_limits.c: fills the limits of tenants' rules from the settings. */
#include "rule_limits.h"

void rule_limits_of(const config_t *config, sandbox_limits_t *out) {
    sandbox_limits_default(out);
    out->time_ms = (uint64_t)config->rule_ms;
    out->instructions = (uint64_t)config->rule_instructions;
    out->memory = (size_t)config->rule_memory_bytes;
    out->allocated = (uint64_t)config->rule_allocated_bytes;
}
