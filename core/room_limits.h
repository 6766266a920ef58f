/* room_limits.h: the limits of the rooms, as the settings say them. */
#ifndef PERIGEE_ROOM_LIMITS_H
#define PERIGEE_ROOM_LIMITS_H
#include "config.h"
#include "lua/sandbox.h"
#include "net/listener.h"

void limits_of_rules(const config_t *config, sandbox_limits_t *out);
/* connections_max 0 becomes 0.8 of this process's open-file limit, less 64 for the stores. */
void limits_of_net(const config_t *config, net_limits_t *out);

#endif
