/* meter.h: how far the replica is behind. */
#ifndef PERIGEE_POSTGRES_METER_H
#define PERIGEE_POSTGRES_METER_H
#include "postgres/query.h"

/* Asks at once, and each second. NULL: no memory. */
postgres_meter_t *postgres_meter_new(postgres_t *postgres);
void postgres_meter_delete(postgres_meter_t *meter);
postgres_lag_t postgres_meter_lag(const postgres_meter_t *meter);
/* Whether the replica answered when it was asked last. */
bool postgres_meter_alive(const postgres_meter_t *meter);

#endif
