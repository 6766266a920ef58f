/* rule_limits.h: the limits of tenants' rules, as the settings say them. */
#ifndef PERIGEE_RULE_LIMITS_H
#define PERIGEE_RULE_LIMITS_H
#include "config.h"
#include "lua/sandbox.h"

void rule_limits_of(const config_t *config, sandbox_limits_t *out);

#endif
