/* share.h: how much of a worker's time one tenant's rules may take, so that no neighbour waits behind them. */
#ifndef PERIGEE_TENANT_SHARE_H
#define PERIGEE_TENANT_SHARE_H
#include <stdbool.h>
#include <stdint.h>

/* A bucket of processor time that fills at `percent` of the clock. Short calls are free. Only processor time counts,
   since a call that was preempted took nothing from its neighbours; reading that clock costs a system call, so it is
   read only while a tenant is watched, which begins with a call that looked long on the wall clock. */
typedef struct share {
    unsigned percent; /* 0: no bound */
    int64_t credit_ns;
    uint64_t filled_ms, watched_until_ms, began_ns;
    bool measuring;
} share_t;

void share_create(share_t *share, unsigned percent);
/* Milliseconds until the tenant may run again; 0 when it may now. */
uint64_t share_wait(share_t *share, uint64_t now_ms);
/* Around a call; wall_ns is how long it took by the wall clock. */
void share_enter(share_t *share, uint64_t now_ms);
void share_leave(share_t *share, uint64_t now_ms, uint64_t wall_ns);
/* Takes processor time away, as share_leave does. */
void share_charge(share_t *share, uint64_t used_ns);

#endif
