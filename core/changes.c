/* changes.c: a list of swapped rule editions, filled by the worker and emptied by the audit's script. */
#include "changes.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include "app.h"
#include "base/log.h"

#define BATCH 100

typedef struct noted {
    list_t node;
    char id[37], tenant[128], before[65], after[65];
} noted_t;

static noted_t *find(const services_t *services, const char *id) {
    const list_t *all = &services->changes;
    for (list_t *node = all->next; node != all; node = node->next) {
        noted_t *noted = LIST_OWNER(node, noted_t, node);
        if (strcmp(noted->id, id) == 0) return noted;
    }
    return NULL;
}

static void forget(services_t *services, noted_t *noted) {
    list_remove(&noted->node);
    services->nchanges--;
    free(noted);
}

void changes_add(services_t *services, const char *tenant, const char *id, const char *before,
    const char *after) {
    if (find(services, id)) return;
    noted_t *noted = services->nchanges < CHANGES_MOST ? calloc(1, sizeof *noted) : NULL;
    if (!noted) {
        log_event(LOG_ERROR, "change_not_noted",
            "\"tenant\":\"%s\",\"before\":\"%s\",\"after\":\"%s\"", tenant, before, after);
        return;
    }
    snprintf(noted->id, sizeof noted->id, "%s", id);
    snprintf(noted->tenant, sizeof noted->tenant, "%s", tenant);
    snprintf(noted->before, sizeof noted->before, "%s", before);
    snprintf(noted->after, sizeof noted->after, "%s", after);
    list_push(&services->changes, &noted->node);
    services->nchanges++;
}

void changes_clear(services_t *services) {
    while (!list_empty(&services->changes))
        forget(services, LIST_OWNER(services->changes.next, noted_t, node));
}

static services_t *services_of(lua_State *L) {
    return ((app_t *)vm_of(L)->user)->services;
}

static void push_text(lua_State *L, const char *field, const char *text) {
    if (!*text) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, field);
}

static int l_waiting(lua_State *L) {
    const list_t *all = &services_of(L)->changes;
    int count = 0;
    lua_newtable(L);
    for (list_t *node = all->next; node != all && count < BATCH; node = node->next) {
        const noted_t *noted = LIST_OWNER(node, noted_t, node);
        lua_createtable(L, 0, 4);
        push_text(L, "id", noted->id);
        push_text(L, "tenant", noted->tenant);
        push_text(L, "before", noted->before);
        push_text(L, "after", noted->after);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

static int l_done(lua_State *L) {
    services_t *services = services_of(L);
    noted_t *noted = find(services, luaL_checkstring(L, 1));
    if (noted) forget(services, noted);
    return 0;
}

int luaopen_changes(lua_State *L) {
    static const luaL_Reg FUNCTIONS[] = {{"waiting", l_waiting}, {"done", l_done}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, FUNCTIONS);
    return 1;
}
