/* resolve.c: a map from hosts and ids to tenant settings, filled by main.lua's tenants.resolve, one lookup at a
   time each. */
#include "resolve.h"
#include "base/err.h"
#include "base/log.h"
#include "traffic.h"
#include <stdio.h>
#include <stdlib.h>

/* The source document's config cache: 5 minutes. An unknown host is asked again sooner: it may be a new shop. */
#define KNOWN_MS 300000
#define UNKNOWN_MS 5000
#define LOOKUP_MS 5000
/* Hosts are the clients' choice: beyond this many the least recently asked for go. */
#define ENTRIES_MAX 20000
#define KEY_MAX 260

typedef struct entry {
    resolve_t *resolve;
    settings_t *settings;          /* NULL when there is no such tenant */
    uint64_t expires_ms, known_ms; /* known_ms: when the stores last told */
    list_t waiting;                /* requests, while a lookup runs */
    bool loading;
    bool stale; /* forgotten since the lookup began */
    bool header;
    list_t node;      /* of all entries, least recently used first */
    span_t key, text; /* behind the struct: "h:acme.localhost" and what follows the colon */
    app_t *app;       /* of the lookup */
    task_t *task;     /* while it waits */
} entry_t;

struct resolve {
    services_t *services;
    resolve_cb found;
    void *data;
    map_t entries;
    list_t all;
};

static const value_limits_t LIMITS = {.depth = 16, .nodes = 10000, .bytes = 262144};

static void finish(entry_t *entry, int err) {
    list_t waiting;
    list_init(&waiting);
    list_splice(&waiting, &entry->waiting);
    for (list_t *node; (node = list_shift(&waiting));) {
        request_t *request = LIST_OWNER(node, request_t, waiting);
        if (!err) request->settings = settings_ref(entry->settings);
        entry->resolve->found(entry->resolve->data, request, err);
    }
}

static void keep(entry_t *entry, settings_t *settings, uint64_t ms) {
    settings_unref(entry->settings);
    entry->settings = settings;
    entry->known_ms = loop_now(entry->resolve->services->loop);
    entry->expires_ms = entry->known_ms + ms;
}

static void log_bad(const entry_t *entry, const char *why) {
    buf_t *line = log_begin(LOG_ERROR, "tenant_refused");
    if (!line) return;
    buf_text(line, ",\"tenant\":");
    buf_json(line, entry->text);
    buf_text(line, ",\"error\":");
    buf_json(line, span_of(why));
    log_end();
}

static int take_document(entry_t *entry, lua_State *L) {
    arena_t arena;
    value_t document;
    char why[200] = "";
    arena_create(&arena);
    settings_t *settings = NULL;
    if (value_pack(L, -1, &arena, &LIMITS, &document, why, sizeof why) == 0)
        settings = settings_new(&document, why, sizeof why);
    arena_destroy(&arena);
    if (settings) {
        tenants_settle(entry->resolve->services->tenants, settings);
        keep(entry, settings, KNOWN_MS);
    } else
        log_bad(entry, why);
    return settings ? 0 : ERR_UNAVAILABLE;
}

/* nil, text, name is the store's failure; nil alone means that there is no such tenant. */
static int take(entry_t *entry, lua_State *L, int nresults) {
    if (nresults >= 3 && lua_isnil(L, -nresults)) {
        bool named = lua_type(L, -nresults + 2) == LUA_TSTRING;
        return named ? err_find(lua_tostring(L, -nresults + 2)) : ERR_INTERNAL;
    }
    if (nresults == 0 || lua_isnil(L, -nresults)) {
        keep(entry, NULL, UNKNOWN_MS);
        return ERR_NOT_FOUND;
    }
    lua_settop(L, lua_gettop(L) - nresults + 1);
    return take_document(entry, L);
}

/* With the stores away, what was known goes on being served for a while. */
static bool serves_stale(const entry_t *entry) {
    const services_t *services = entry->resolve->services;
    uint64_t most = KNOWN_MS + (uint64_t)services->config.config_stale_s * 1000;
    return entry->settings && loop_now(services->loop) - entry->known_ms < most;
}

static void done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    entry_t *entry = task_user(task);
    app_t *app = entry->app;
    entry->loading = false;
    entry->app = NULL;
    entry->task = NULL;
    if (end == TASK_CANCELLED) { /* resolve_delete's: nobody waits */
        app_unref(app);
        return;
    }
    int err = end == TASK_OK ? take(entry, L, nresults) : ERR_UNAVAILABLE;
    if (end != TASK_OK) log_bad(entry, error ? error : "the lookup did not finish in time");
    if (err && err != ERR_NOT_FOUND && serves_stale(entry)) {
        entry->stale = false;
        entry->expires_ms = loop_now(entry->resolve->services->loop) + UNKNOWN_MS;
        err = 0;
    }
    finish(entry, err);
    app_unref(app);
}

static int push_lookup(lua_State *L, void *data) {
    entry_t *entry = data;
    lua_rawgeti(L, LUA_REGISTRYINDEX, entry->app->resolve);
    lua_pushstring(L, entry->header ? "header" : "host");
    lua_pushlstring(L, entry->text.ptr, entry->text.len);
    return 2;
}

static void look_up(entry_t *entry) {
    static const task_ops_t OPS = {.done = done};
    services_t *services = entry->resolve->services;
    uint64_t most = (uint64_t)services->config.request_ms;
    bool alive;
    entry->loading = true;
    entry->stale = false; /* what is forgotten from now on, this lookup may have read before */
    entry->app = app_ref(services->traffic->app);
    task_options_t options = {.vm = entry->app->vm,
        .ops = &OPS,
        .user = entry,
        .deadline_ms = loop_now(services->loop) + (most < LOOKUP_MS ? most : LOOKUP_MS)};
    task_t *task = task_start(&options, push_lookup, entry, &alive);
    if (alive) entry->task = task;
    if (task) return;
    app_unref(entry->app);
    entry->app = NULL;
    entry->loading = false;
    finish(entry, ERR_NO_MEMORY);
}

static entry_t *entry_new(resolve_t *resolve, span_t key, bool header) {
    entry_t *entry = calloc(1, sizeof *entry + key.len);
    if (!entry) return NULL;
    entry->resolve = resolve;
    entry->header = header;
    memcpy(entry + 1, key.ptr, key.len);
    entry->key = (span_t){(char *)(entry + 1), key.len};
    entry->text = (span_t){entry->key.ptr + 2, key.len - 2};
    list_init(&entry->waiting);
    if (map_set(&resolve->entries, key, entry, NULL) != 0) {
        free(entry);
        return NULL;
    }
    list_push(&resolve->all, &entry->node);
    return entry;
}

static void entry_delete(entry_t *entry) {
    list_remove(&entry->node);
    map_remove(&entry->resolve->entries, entry->key);
    settings_unref(entry->settings);
    free(entry);
}

/* One that loads has requests waiting and stays; those in front of the line are few. */
static void drop_oldest(resolve_t *resolve) {
    for (list_t *node = resolve->all.next; node != &resolve->all; node = node->next) {
        entry_t *entry = LIST_OWNER(node, entry_t, node);
        if (entry->loading) continue;
        entry_delete(entry);
        return;
    }
}

/* ERR_NOT_FOUND for what is no name, ERR_NO_MEMORY. */
static int find_entry(resolve_t *resolve, span_t text, bool header, entry_t **out) {
    char key[KEY_MAX];
    if (text.len == 0 || text.len + 2 > sizeof key) return ERR_NOT_FOUND;
    key[0] = header ? 'i' : 'h';
    key[1] = ':';
    memcpy(key + 2, text.ptr, text.len);
    span_t whole = {key, text.len + 2};
    *out = map_get(&resolve->entries, whole);
    if (*out) {
        list_remove(&(*out)->node);
        list_push(&resolve->all, &(*out)->node);
        return 0;
    }
    if (resolve->entries.count >= ENTRIES_MAX) drop_oldest(resolve);
    *out = entry_new(resolve, whole, header);
    return *out ? 0 : ERR_NO_MEMORY;
}

void resolve_request(resolve_t *resolve, request_t *request) {
    span_t header = {NULL, 0};
    if (resolve->services->config.trust_tenant_header)
        header = exchange_header(request->exchange, SPAN("x-tenant-id"));
    entry_t *entry;
    bool by_header = header.ptr != NULL;
    int err = find_entry(resolve, by_header ? header : request->exchange->host, by_header, &entry);
    if (err) {
        resolve->found(resolve->data, request, err);
        return;
    }
    bool fresh = entry->expires_ms > loop_now(resolve->services->loop) && !entry->stale;
    if (fresh) {
        if (entry->settings) request->settings = settings_ref(entry->settings);
        resolve->found(resolve->data, request, entry->settings ? 0 : ERR_NOT_FOUND);
        return;
    }
    list_push(&entry->waiting, &request->waiting);
    if (!entry->loading) look_up(entry);
}

void resolve_abandon(request_t *request) {
    list_remove(&request->waiting);
}

void resolve_forget(resolve_t *resolve) {
    for (list_t *node = resolve->all.next; node != &resolve->all; node = node->next)
        LIST_OWNER(node, entry_t, node)->stale = true;
}

void resolve_adopt(resolve_t *resolve, settings_t *settings) {
    for (list_t *node = resolve->all.next; node != &resolve->all; node = node->next) {
        entry_t *entry = LIST_OWNER(node, entry_t, node);
        if (entry->settings && span_eq(entry->settings->id, settings->id))
            keep(entry, settings_ref(settings), KNOWN_MS);
    }
    tenants_settle(resolve->services->tenants, settings);
}

resolve_t *resolve_new(services_t *services, resolve_cb found, void *data) {
    resolve_t *resolve = calloc(1, sizeof *resolve);
    if (!resolve) return NULL;
    resolve->services = services;
    resolve->found = found;
    resolve->data = data;
    map_create(&resolve->entries);
    list_init(&resolve->all);
    return resolve;
}

void resolve_delete(resolve_t *resolve) {
    while (!list_empty(&resolve->all)) {
        entry_t *entry = LIST_OWNER(resolve->all.next, entry_t, node);
        if (entry->task) task_cancel(entry->task);
        entry_delete(entry);
    }
    map_destroy(&resolve->entries);
    free(resolve);
}
