/* shares.c: whose turn it is when several tenants want connections: the one that has the fewest. */
#include "base/shares.h"
#include <stdlib.h>
#include "base/err.h"

typedef struct share {
    list_t node; /* in the ring while somebody waits */
    list_t waiting;
    int held;
} share_t;

void shares_create(shares_t *shares, int most) {
    *shares = (shares_t){.most = most};
    map_create(&shares->tenants);
    list_init(&shares->ring);
}

void shares_destroy(shares_t *shares) {
    size_t at = 0;
    span_t tenant;
    void *share;
    while (map_next(&shares->tenants, &at, &tenant, &share))
        free(share);
    map_destroy(&shares->tenants);
}

static share_t *share_of(shares_t *shares, span_t tenant) {
    share_t *share = map_get(&shares->tenants, tenant);
    if (share) return share;
    share = calloc(1, sizeof *share);
    if (!share) return NULL;
    list_init(&share->node);
    list_init(&share->waiting);
    if (map_set(&shares->tenants, tenant, share, NULL) == 0) return share;
    free(share);
    return NULL;
}

/* A tenant that neither holds nor waits is forgotten, so that the map stays small. */
static void tidy(shares_t *shares, span_t tenant, share_t *share) {
    if (list_empty(&share->waiting)) list_remove(&share->node);
    if (share->held || !list_empty(&share->waiting)) return;
    map_remove(&shares->tenants, tenant);
    free(share);
}

int shares_wait(shares_t *shares, span_t tenant, list_t *node) {
    share_t *share = share_of(shares, tenant);
    if (!share) return ERR_NO_MEMORY;
    if (list_empty(&share->waiting)) list_push(&shares->ring, &share->node);
    list_push(&share->waiting, node);
    shares->waiting++;
    return 0;
}

list_t *shares_next(shares_t *shares) {
    share_t *best = NULL;
    for (list_t *node = shares->ring.next; node != &shares->ring; node = node->next) {
        share_t *share = LIST_OWNER(node, share_t, node);
        if (share->held < shares->most && (!best || share->held < best->held)) best = share;
    }
    return best ? best->waiting.next : NULL;
}

void shares_leave(shares_t *shares, span_t tenant, list_t *node, bool held) {
    share_t *share = map_get(&shares->tenants, tenant);
    list_remove(node);
    shares->waiting--;
    if (held) {
        share->held++;
        list_remove(&share->node);
        list_push(&shares->ring, &share->node);
    }
    tidy(shares, tenant, share);
}

void shares_return(shares_t *shares, span_t tenant) {
    share_t *share = map_get(&shares->tenants, tenant);
    share->held--;
    tidy(shares, tenant, share);
}
