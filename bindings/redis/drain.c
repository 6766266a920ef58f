/* drain.c: servers that get no more commands, kept until what was sent to them is answered. */
#include "redis/drain.h"
#include <stdlib.h>

#define LOOK_MS 20

typedef struct leaving {
    list_t node;
    redis_node_t *server;
} leaving_t;

static void forget(leaving_t *leaving) {
    redis_node_delete(leaving->server);
    list_remove(&leaving->node);
    free(leaving);
}

static void on_look(deadline_t *deadline) {
    redis_drain_t *drain = LIST_OWNER(deadline, redis_drain_t, look);
    for (list_t *node = drain->leaving.next, *next; node != &drain->leaving; node = next) {
        leaving_t *leaving = LIST_OWNER(node, leaving_t, node);
        next = node->next;
        if (redis_node_load(leaving->server) == 0) forget(leaving);
    }
    if (!list_empty(&drain->leaving))
        deadline_set(drain->loop, deadline, loop_now(drain->loop) + LOOK_MS);
}

void redis_drain_create(redis_drain_t *drain, loop_t *loop) {
    drain->loop = loop;
    list_init(&drain->leaving);
    deadline_init(&drain->look, on_look);
}

/* Without memory for the list only its answers are lost, and each is reported. */
void redis_drain_add(redis_drain_t *drain, redis_node_t *node) {
    leaving_t *leaving = calloc(1, sizeof *leaving);
    if (!leaving) {
        redis_node_delete(node);
        return;
    }
    redis_node_retire(node);
    leaving->server = node;
    list_init(&leaving->node);
    list_push(&drain->leaving, &leaving->node);
    if (!deadline_armed(&drain->look))
        deadline_set(drain->loop, &drain->look, loop_now(drain->loop));
}

void redis_drain_close(redis_drain_t *drain) {
    deadline_clear(&drain->look);
    while (!list_empty(&drain->leaving))
        forget(LIST_OWNER(drain->leaving.next, leaving_t, node));
}
