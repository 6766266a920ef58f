/* single.c: the router of a URL that names one server, and perhaps another for reading. */
#include <stdio.h>
#include <stdlib.h>
#include "redis/router.h"

typedef struct single {
    redis_router_t router;
    redis_t *redis;
    redis_node_t *node, *reader; /* reader may be NULL */
} single_t;

/* A reader that is down leaves its reads to the server itself, which knows the same and more. */
static redis_node_t *pick(redis_router_t *router, span_t key, bool replica) {
    single_t *single = (single_t *)router;
    (void)key;
    bool read = replica && single->reader && !redis_node_down(single->reader);
    return read ? single->reader : single->node;
}

/* A reader that is still loading, or has lost its master, is no reader. */
static redis_redirect_t on_error(
    redis_router_t *router, redis_node_t *from, redis_command_t *command) {
    single_t *single = (single_t *)router;
    (void)command;
    return (redis_redirect_t){.verdict = from == single->reader ? REDIS_AGAIN : REDIS_PASS};
}

static void on_node(void *data, redis_node_t *node, bool up) {
    single_t *single = data;
    (void)node;
    if (up) redis_rerouted(single->redis);
}

static bool up(const redis_router_t *router) {
    return redis_node_answers(((const single_t *)router)->node);
}

static void close_single(redis_router_t *router) {
    single_t *single = (single_t *)router;
    if (single->node) redis_node_delete(single->node);
    if (single->reader) redis_node_delete(single->reader);
    free(single);
}

static redis_node_t *connect_to(
    single_t *single, const redis_url_t *url, const redis_access_t *access) {
    redis_node_options_t options = {.redis = single->redis,
        .at = url->at[0],
        .access = access,
        .links = redis_links(single->redis),
        .changed = on_node,
        .data = single};
    return redis_node_new(&options);
}

redis_router_t *redis_single_new(redis_t *redis, char *why, size_t size) {
    const redis_url_t *read = redis_read_url(redis);
    single_t *single = calloc(1, sizeof *single);
    snprintf(why, size, "out of memory");
    if (!single) return NULL;
    single->redis = redis;
    single->router =
        (redis_router_t){.pick = pick, .on_error = on_error, .up = up, .close = close_single};
    single->node = connect_to(single, redis_url(redis), redis_main_access(redis));
    if (read) single->reader = connect_to(single, read, redis_read_access(redis));
    if (single->node && (single->reader || !read)) return &single->router;
    close_single(&single->router);
    return NULL;
}
