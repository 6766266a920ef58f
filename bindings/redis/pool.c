/* pool.c: connections that one caller owns for a while; each is in exactly one list, and `place` alone moves it. */
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "redis/client.h"
#include "redis/refuse.h"
#include "base/shares.h"

#define WAITING_PER_CONNECTION 4 /* bounds the queue of leases */
#define TEND_MS 5000
#define IDLE_MS 60000 /* then a connection beyond the least is closed */

/* The state names the list. */
typedef enum { OPENING, IDLE, LEASED, STATES } state_t;

typedef struct pooled {
    list_t node;
    state_t state;
    redis_pool_t *pool;
    link_t *link; /* NULL: lost while it was leased */
    redis_endpoint_t at;
    redis_access_t access;
    redis_lease_t *lease; /* who has it, or waits until it is open */
    uint64_t idle_since_ms;
    bool watching, multi;
} pooled_t;

struct redis_pool {
    redis_t *redis;
    list_t lists[STATES];
    int counts[STATES];
    shares_t shares;
    list_t turned; /* leases turned away whose `got` is on its way */
    deadline_t tend;
};

static const link_events_t EVENTS;

static void place(pooled_t *pooled, state_t state) {
    redis_pool_t *pool = pooled->pool;
    if (pooled->state != STATES) pool->counts[pooled->state]--;
    list_remove(&pooled->node);
    pooled->state = state;
    if (state == STATES) return;
    pool->counts[state]++;
    list_push(&pool->lists[state], &pooled->node);
}

static int total(const redis_pool_t *pool) {
    return pool->counts[OPENING] + pool->counts[IDLE] + pool->counts[LEASED];
}

static void dismiss(pooled_t *pooled) {
    if (pooled->link) link_close(pooled->link);
    place(pooled, STATES);
    free(pooled);
}

static redis_node_t *node_for(const redis_pool_t *pool, span_t key) {
    redis_router_t *router = pool->redis->router;
    return router->pick(router, key, false);
}

/* NULL: no memory. */
static pooled_t *open_to(redis_pool_t *pool, const redis_node_t *node) {
    pooled_t *pooled = calloc(1, sizeof *pooled);
    if (!pooled) return NULL;
    *pooled = (pooled_t){.pool = pool,
        .at = *redis_node_at(node),
        .access = *redis_node_access(node),
        .state = STATES};
    list_init(&pooled->node);
    link_options_t options = {.loop = pool->redis->loop,
        .at = pooled->at,
        .access = &pooled->access,
        .connect_ms = pool->redis->options.connect_ms,
        .events = &EVENTS,
        .data = pooled};
    pooled->link = link_open(&options);
    if (!pooled->link) {
        free(pooled);
        return NULL;
    }
    place(pooled, OPENING);
    return pooled;
}

/* The one that was used last: the others may grow old. */
static pooled_t *idle_to(const redis_pool_t *pool, const redis_endpoint_t *at) {
    const list_t *idle = &pool->lists[IDLE];
    for (list_t *node = idle->prev; node != idle; node = node->prev) {
        pooled_t *pooled = LIST_OWNER(node, pooled_t, node);
        if (redis_endpoint_eq(&pooled->at, at)) return pooled;
    }
    return NULL;
}

/* NULL when all are in use. An idle connection to another node makes room. */
static pooled_t *find(redis_pool_t *pool, const redis_node_t *node) {
    pooled_t *pooled = idle_to(pool, redis_node_at(node));
    if (pooled) return pooled;
    bool full = total(pool) >= pool->redis->options.pool_max;
    if (full && list_empty(&pool->lists[IDLE])) return NULL;
    if (full) dismiss(LIST_OWNER(pool->lists[IDLE].next, pooled_t, node));
    return open_to(pool, node);
}

static void give(pooled_t *pooled) {
    redis_lease_t *lease = pooled->lease;
    deadline_clear(&lease->timer);
    lease->got(lease);
}

static void on_ready(deferred_t *deferred) {
    redis_lease_t *lease = LIST_OWNER(deferred, redis_lease_t, ready);
    deadline_clear(&lease->timer);
    list_remove(&lease->node);
    if (lease->err) lease->redis = NULL;
    lease->got(lease);
}

/* The lease ends without a connection; its `got` comes now. */
static void disappoint(redis_lease_t *lease, int err, const char *detail) {
    deadline_clear(&lease->timer);
    lease->pooled = NULL;
    lease->redis = NULL;
    lease->err = err;
    snprintf(lease->detail, sizeof lease->detail, "%s", detail);
    lease->got(lease);
}

static void attach(pooled_t *pooled, redis_lease_t *lease) {
    redis_pool_t *pool = pooled->pool;
    shares_leave(&pool->shares, lease->tenant, &lease->node, true);
    pooled->lease = lease;
    lease->pooled = pooled;
    if (pooled->state != IDLE) return;
    place(pooled, LEASED);
    loop_defer(pool->redis->loop, &lease->ready);
}

/* A server that is known to be down is not dialled for each who wants it. */
static void turn_away(redis_pool_t *pool, redis_lease_t *lease) {
    shares_leave(&pool->shares, lease->tenant, &lease->node, false);
    lease->err = ERR_UNAVAILABLE;
    snprintf(lease->detail, sizeof lease->detail, "the server cannot be reached");
    deadline_clear(&lease->timer);
    list_push(&pool->turned, &lease->node);
    loop_defer(pool->redis->loop, &lease->ready);
}

/* Calls nobody: `got` follows on a later turn. */
void redis_pool_serve(redis_pool_t *pool) {
    for (list_t *next; (next = shares_next(&pool->shares));) {
        redis_lease_t *lease = LIST_OWNER(next, redis_lease_t, node);
        redis_node_t *node = node_for(pool, lease->key);
        bool down = node && redis_node_down(node);
        pooled_t *pooled = node && !down ? find(pool, node) : NULL;
        if (down)
            turn_away(pool, lease);
        else if (pooled)
            attach(pooled, lease);
        else
            return;
    }
}

static void to_idle(pooled_t *pooled) {
    pooled->lease = NULL;
    pooled->idle_since_ms = loop_now(pooled->pool->redis->loop);
    place(pooled, IDLE);
}

static void on_up(void *data, link_t *link) {
    pooled_t *pooled = data;
    (void)link;
    if (pooled->lease) {
        place(pooled, LEASED);
        give(pooled);
    } else {
        to_idle(pooled);
        redis_pool_serve(pooled->pool);
    }
}

/* One that is leased stays with its holder, who learns of it by what it sends. */
static void on_down(void *data, link_t *link, const char *detail) {
    pooled_t *pooled = data;
    redis_pool_t *pool = pooled->pool;
    redis_lease_t *lease = pooled->lease;
    (void)link;
    pooled->link = NULL;
    if (pooled->state == LEASED) return;
    dismiss(pooled);
    if (lease) {
        shares_return(&pool->shares, lease->tenant);
        disappoint(lease, ERR_UNAVAILABLE, detail);
    }
    redis_pool_serve(pool); /* who waited for this one's place, or for its opening */
}

static const link_events_t EVENTS = {.up = on_up, .down = on_down};

static void fill(redis_pool_t *pool) {
    redis_node_t *node = node_for(pool, (span_t){"", 0});
    if (!node || redis_node_down(node)) return;
    while (total(pool) < pool->redis->options.pool_min)
        if (!open_to(pool, node)) return;
}

/* Closes what has been idle for long, keeps the least open. */
static void on_tend(deadline_t *deadline) {
    redis_pool_t *pool = LIST_OWNER(deadline, redis_pool_t, tend);
    uint64_t now = loop_now(pool->redis->loop);
    while (!list_empty(&pool->lists[IDLE]) && total(pool) > pool->redis->options.pool_min) {
        pooled_t *oldest = LIST_OWNER(pool->lists[IDLE].next, pooled_t, node);
        if (now - oldest->idle_since_ms < IDLE_MS) break;
        dismiss(oldest);
    }
    fill(pool);
    deadline_set(pool->redis->loop, &pool->tend, now + TEND_MS);
}

static redis_pool_t *pool_new(redis_t *redis) {
    redis_pool_t *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pool->redis = redis;
    for (int i = 0; i < STATES; i++)
        list_init(&pool->lists[i]);
    list_init(&pool->turned);
    /* No tenant may have them all, else its blocking commands would shut out the others for as long as they block. */
    shares_create(&pool->shares, (redis->options.pool_max + 1) / 2);
    deadline_init(&pool->tend, on_tend);
    deadline_set(redis->loop, &pool->tend, loop_now(redis->loop));
    return pool;
}

/* Only once it waits for its turn or for a connection; what it holds has no deadline. */
static void on_deadline(deadline_t *deadline) {
    redis_lease_t *lease = LIST_OWNER(deadline, redis_lease_t, timer);
    redis_pool_t *pool = lease->redis->pool;
    pooled_t *pooled = lease->pooled;
    if (pooled && pooled->state == LEASED) return; /* `got` is on its way */
    if (pooled) {
        pooled->lease = NULL;
        shares_return(&pool->shares, lease->tenant);
    } else {
        shares_leave(&pool->shares, lease->tenant, &lease->node, false);
    }
    disappoint(lease, ERR_TIMEOUT, "no connection was free in time");
}

int redis_lease(redis_t *redis, redis_lease_t *lease) {
    if (redis->closing) return ERR_CLOSED;
    if (!redis->pool) redis->pool = pool_new(redis);
    redis_pool_t *pool = redis->pool;
    if (!pool) return ERR_NO_MEMORY;
    if (pool->shares.waiting >= (size_t)redis->options.pool_max * WAITING_PER_CONNECTION)
        return ERR_BUSY;
    lease->redis = redis;
    lease->pooled = NULL;
    lease->err = 0;
    lease->detail[0] = '\0';
    list_init(&lease->node);
    deferred_init(&lease->ready, on_ready);
    deadline_init(&lease->timer, on_deadline);
    int err = shares_wait(&pool->shares, lease->tenant, &lease->node);
    if (err) return err;
    uint64_t soon = loop_now(redis->loop) + redis->options.connect_ms;
    deadline_set(redis->loop, &lease->timer, lease->deadline_ms ? lease->deadline_ms : soon);
    redis_pool_serve(pool);
    return 0;
}

/* What the connection has open decides whether somebody else may have it. */
static void note(pooled_t *pooled, redis_nature_t nature) {
    if (nature == REDIS_WATCH) pooled->watching = true;
    if (nature == REDIS_MULTI) pooled->multi = true;
    if (nature == REDIS_UNWATCH && !pooled->multi) pooled->watching = false;
    if (nature == REDIS_EXEC) pooled->watching = pooled->multi = false;
}

/* What is owned is not redirected, but what its answer tells about the servers is for everybody. */
static void on_settled(redis_command_t *command) {
    redis_router_t *router = command->redis->router;
    bool tells = command->reply && !command->redis->closing && redis_is_routing(command->reply);
    if (tells) router->on_error(router, NULL, command);
    redis_finish(command);
}

int redis_lease_submit(redis_lease_t *lease, redis_command_t *command) {
    pooled_t *pooled = lease->pooled;
    if (!lease->redis || !pooled || pooled->state != LEASED || !pooled->link) return ERR_CLOSED;
    int err = redis_check(lease->redis, command, true);
    if (err) return err;
    redis_begin(lease->redis, command, on_settled);
    err = link_send(pooled->link, command);
    if (err) {
        command->err = err;
        loop_defer(lease->redis->loop, &command->ended);
        return 0;
    }
    note(pooled, redis_nature(command->argv, command->argc));
    return 0;
}

static bool is_clean(const pooled_t *pooled) {
    return pooled->link && link_is_up(pooled->link) && link_load(pooled->link) == 0 &&
           !pooled->watching && !pooled->multi;
}

static void take_back(pooled_t *pooled, bool clean) {
    redis_pool_t *pool = pooled->pool;
    pooled->lease = NULL;
    if (pooled->state == OPENING) return; /* for the next one */
    if (clean && is_clean(pooled) && pool->counts[IDLE] < pool->redis->options.pool_idle)
        to_idle(pooled);
    else
        dismiss(pooled);
}

void redis_lease_end(redis_lease_t *lease, bool clean) {
    redis_t *redis = lease->redis;
    if (lease->err == ERR_CLOSED) deferred_clear(&lease->ready); /* the pool has gone before */
    if (!redis) return;
    lease->redis = NULL;
    deadline_clear(&lease->timer);
    deferred_clear(&lease->ready);
    if (lease->pooled) {
        shares_return(&redis->pool->shares, lease->tenant);
        take_back(lease->pooled, clean);
    } else if (lease->err) {
        list_remove(&lease->node);
    } else if (!list_empty(&lease->node)) {
        shares_leave(&redis->pool->shares, lease->tenant, &lease->node, false);
    }
    lease->pooled = NULL;
    redis_pool_serve(redis->pool);
}

/* Leases outlive the pool: their holders end them later, or never. */
static void part(redis_lease_t *lease) {
    deadline_clear(&lease->timer);
    deferred_clear(&lease->ready);
    list_remove(&lease->node);
    lease->redis = NULL;
    lease->pooled = NULL;
}

static void on_closed(deferred_t *deferred) {
    redis_lease_t *lease = LIST_OWNER(deferred, redis_lease_t, ready);
    lease->got(lease);
}

/* One that still hopes for its `got` gets it. */
static void close_lease(redis_pool_t *pool, redis_lease_t *lease, bool had_it) {
    part(lease);
    lease->err = ERR_CLOSED;
    deferred_init(&lease->ready, on_closed);
    if (!had_it) loop_defer(pool->redis->loop, &lease->ready);
}

static void close_list(redis_pool_t *pool, list_t *list) {
    while (!list_empty(list)) {
        pooled_t *pooled = LIST_OWNER(list->next, pooled_t, node);
        redis_lease_t *lease = pooled->lease;
        bool had_it = lease && pooled->state == LEASED && list_empty(&lease->ready.node);
        if (lease) close_lease(pool, lease, had_it);
        dismiss(pooled);
    }
}

void redis_pool_close(redis_pool_t *pool) {
    deadline_clear(&pool->tend);
    pool->shares.most = pool->redis->options.pool_max + 1; /* so that all that wait are found */
    for (list_t *next; (next = shares_next(&pool->shares));) {
        redis_lease_t *lease = LIST_OWNER(next, redis_lease_t, node);
        shares_leave(&pool->shares, lease->tenant, &lease->node, false);
        close_lease(pool, lease, false);
    }
    while (!list_empty(&pool->turned))
        close_lease(pool, LIST_OWNER(pool->turned.next, redis_lease_t, node), false);
    for (int i = 0; i < STATES; i++)
        close_list(pool, &pool->lists[i]);
    shares_destroy(&pool->shares);
    pool->redis->pool = NULL;
    free(pool);
}
