/* seed.c: a queue of slugs and one task at a time that calls main.seed for them. */
#include "seed.h"
#include "base/log.h"
#include "server.h"
#include "services.h"
#include <stdlib.h>

#define RUN_MS 30000

typedef struct wish {
    list_t node;
    char *slug; /* NULL for all */
} wish_t;

struct seed {
    struct services *services;
    app_t *app;
    list_t wishes;
    wish_t *current;
    task_t *task;
    bool stopped;
    void (*idle)(void *data);
    void *data;
};

static void run_next(seed_t *seed);

static void wish_delete(wish_t *wish) {
    if (!wish) return;
    free(wish->slug);
    free(wish);
}

static void log_failure(const char *error) {
    buf_t *line = log_begin(LOG_ERROR, "seed_failed");
    if (!line) return;
    buf_text(line, ",\"error\":");
    buf_json(line, span_of(error ? error : "it did not end in time"));
    log_end();
}

static void on_done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    seed_t *seed = task_user(task);
    seed->task = NULL;
    wish_delete(seed->current);
    seed->current = NULL;
    app_unref(seed->app);
    if (end == TASK_CANCELLED) return;
    if (end != TASK_OK)
        log_failure(error);
    else if (nresults >= 2 && lua_isnil(L, -nresults))
        log_failure(lua_tostring(L, -nresults + 1));
    /* Hosts that nobody answered at may be shops now. */
    if (seed->services->server) server_forget_tenants(seed->services->server);
    run_next(seed);
    if (!seed->current && !seed->stopped) seed->idle(seed->data);
}

static int push_seed(lua_State *L, void *data) {
    seed_t *seed = data;
    lua_rawgeti(L, LUA_REGISTRYINDEX, seed->app->seed);
    lua_pushstring(L, seed->current->slug);
    return 1;
}

static void run_next(seed_t *seed) {
    static const task_ops_t OPS = {.done = on_done};
    list_t *node = seed->current || seed->stopped || !seed->app ? NULL : list_shift(&seed->wishes);
    if (!node) return;
    seed->current = LIST_OWNER(node, wish_t, node);
    app_t *app = app_ref(seed->app); /* given back in on_done */
    task_options_t options = {.vm = app->vm,
        .ops = &OPS,
        .user = seed,
        .deadline_ms = loop_now(seed->services->loop) + RUN_MS,
        .request_id = "seed"};
    bool alive;
    task_t *task = task_start(&options, push_seed, seed, &alive);
    if (alive) seed->task = task;
    if (task) return;
    app_unref(app);
    wish_delete(seed->current);
    seed->current = NULL;
    log_failure("out of memory");
}

static void wish(seed_t *seed, const char *slug) {
    wish_t *wish = seed->stopped ? NULL : calloc(1, sizeof *wish);
    if (!wish) return;
    wish->slug = slug ? strdup(slug) : NULL;
    list_push(&seed->wishes, &wish->node);
    run_next(seed);
}

void seed_all(seed_t *seed) {
    wish(seed, NULL);
}
void seed_one(seed_t *seed, const char *slug) {
    wish(seed, slug);
}

/* A run that is cut short is a wish again: on the new edition. */
void seed_use(seed_t *seed, app_t *app) {
    wish_t *cut = seed->task ? seed->current : NULL;
    if (cut) {
        seed->current = NULL;
        task_cancel(seed->task);
        list_push(&seed->wishes, &cut->node);
    }
    app_unref(seed->app);
    seed->app = app_ref(app);
    run_next(seed);
}

void seed_stop(seed_t *seed) {
    seed->stopped = true;
    if (seed->task) task_cancel(seed->task);
}

seed_t *seed_new(struct services *services, void (*idle)(void *data), void *data) {
    seed_t *seed = calloc(1, sizeof *seed);
    if (!seed) return NULL;
    seed->services = services;
    seed->idle = idle;
    seed->data = data;
    list_init(&seed->wishes);
    return seed;
}

void seed_delete(seed_t *seed) {
    seed_stop(seed);
    for (list_t *node; (node = list_shift(&seed->wishes));)
        wish_delete(LIST_OWNER(node, wish_t, node));
    app_unref(seed->app);
    free(seed);
}
