/* changes.c: a list of swapped rule editions, each of them once. */
#include "changes.h"
#include "base/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void changes_create(changes_t *changes) {
    list_init(&changes->all);
    changes->count = 0;
}

static void forget(changes_t *changes, swapped_t *swapped) {
    list_remove(&swapped->node);
    changes->count--;
    free(swapped);
}

void changes_destroy(changes_t *changes) {
    while (!list_empty(&changes->all))
        forget(changes, LIST_OWNER(changes->all.next, swapped_t, node));
}

static swapped_t *find(const changes_t *changes, const char *id) {
    const list_t *all = &changes->all;
    for (list_t *node = all->next; node != all; node = node->next) {
        swapped_t *swapped = LIST_OWNER(node, swapped_t, node);
        if (strcmp(swapped->id, id) == 0) return swapped;
    }
    return NULL;
}

void changes_add(
    changes_t *changes, const char *tenant, const char *id, const char *before, const char *after) {
    if (find(changes, id)) return;
    swapped_t *swapped = changes->count < CHANGES_MOST ? calloc(1, sizeof *swapped) : NULL;
    if (!swapped) {
        log_event(LOG_ERROR, "change_not_noted",
            "\"tenant\":\"%s\",\"before\":\"%s\",\"after\":\"%s\"", tenant, before, after);
        return;
    }
    snprintf(swapped->id, sizeof swapped->id, "%s", id);
    snprintf(swapped->tenant, sizeof swapped->tenant, "%s", tenant);
    snprintf(swapped->before, sizeof swapped->before, "%s", before);
    snprintf(swapped->after, sizeof swapped->after, "%s", after);
    list_push(&changes->all, &swapped->node);
    changes->count++;
}

void changes_done(changes_t *changes, const char *id) {
    swapped_t *swapped = find(changes, id);
    if (swapped) forget(changes, swapped);
}
