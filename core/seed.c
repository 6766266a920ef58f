/* seed.c: a queue of slugs and one task at a time that calls main.seed for them. */
#include "seed.h"
#include "base/err.h"
#include "base/log.h"
#include "resolve.h"
#include "services.h"
#include <stdlib.h>

#define RUN_MS 30000
#define RETRY_MS 2000 /* another server may be writing the same file */
#define TRIES 10

typedef struct wish {
    list_t node;
    char *slug; /* NULL for all */
    int tries;
} wish_t;

struct seed {
    struct services *services;
    app_t *app;      /* whose main.seed runs next */
    app_t *using;    /* whose runs now */
    list_t wishes;   /* to be carried out, in order */
    list_t failed;   /* to be tried again */
    wish_t *current; /* that runs */
    task_t *task;    /* while it waits */
    deferred_t next;
    deadline_t retry;
    bool stopped;
    void (*idle)(void *data);
    void (*stored)(void *data, const char *slug, const char *refused); /* may be NULL */
    void *data;
};

static void wish_delete(wish_t *wish) {
    free(wish->slug);
    free(wish);
}

static void delete_all(list_t *wishes) {
    for (list_t *node; (node = list_shift(wishes));)
        wish_delete(LIST_OWNER(node, wish_t, node));
}

static void log_failure(const char *error) {
    buf_t *line = log_begin(LOG_ERROR, "seed_failed");
    if (!line) return;
    buf_text(line, ",\"error\":");
    buf_json(line, span_of(error));
    log_end();
}

static void go_on(seed_t *seed) {
    if (!seed->stopped) loop_defer(seed->services->loop, &seed->next);
}

/* What was current has been carried out, or not: then error says why. */
static void settle(seed_t *seed, const char *error) {
    wish_t *wish = seed->current;
    loop_t *loop = seed->services->loop;
    seed->current = NULL;
    if (error) log_failure(error);
    if (error && ++wish->tries < TRIES) {
        list_push(&seed->failed, &wish->node);
        if (!deadline_armed(&seed->retry))
            deadline_set(loop, &seed->retry, loop_now(loop) + RETRY_MS);
    } else {
        wish_delete(wish);
    }
    /* Hosts that nobody answered at may be shops now. */
    if (seed->services->resolve) resolve_forget(seed->services->resolve);
    go_on(seed);
}

/* Cut short by a new edition: it is the next wish again. */
static void put_back(seed_t *seed) {
    list_push(seed->wishes.next, &seed->current->node);
    seed->current = NULL;
    go_on(seed);
}

/* main.seed fails as a store does: nil, text, name. */
static const char *failure(lua_State *L, int nresults) {
    if (nresults < 2 || !lua_isnil(L, -nresults)) return NULL;
    bool text = lua_type(L, -nresults + 1) == LUA_TSTRING;
    return text ? lua_tostring(L, -nresults + 1) : "main.seed failed";
}

/* main.seed may return what it refused, by slug: {SLUG = "/field: reason"}. */
static void tell(const seed_t *seed, lua_State *L, int nresults) {
    const char *wished = seed->current->slug;
    bool refused = false;
    if (!seed->stored) return;
    if (nresults > 0 && lua_istable(L, -nresults)) {
        int table = lua_gettop(L) - nresults + 1;
        for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
            if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) continue;
            const char *slug = lua_tostring(L, -2);
            if (wished && strcmp(slug, wished) == 0) refused = true;
            seed->stored(seed->data, slug, lua_tostring(L, -1));
        }
    }
    if (wished && !refused) seed->stored(seed->data, wished, NULL);
}

static void on_done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    seed_t *seed = task_user(task);
    seed->task = NULL;
    app_unref(seed->using);
    seed->using = NULL;
    if (end == TASK_CANCELLED) {
        put_back(seed);
        return;
    }
    if (end == TASK_OK) error = failure(L, nresults);
    if (!error) tell(seed, L, nresults);
    settle(seed, error);
}

static int push_seed(lua_State *L, void *data) {
    seed_t *seed = data;
    lua_rawgeti(L, LUA_REGISTRYINDEX, seed->using->seed);
    lua_pushstring(L, seed->current->slug);
    return 1;
}

static void start(seed_t *seed) {
    static const task_ops_t OPS = {.done = on_done};
    seed->using = app_ref(seed->app); /* given back in on_done */
    task_options_t options = {.vm = seed->using->vm,
        .ops = &OPS,
        .user = seed,
        .deadline_ms = loop_now(seed->services->loop) + RUN_MS,
        .request_id = "seed"};
    bool alive;
    task_t *task = task_start(&options, push_seed, seed, &alive);
    if (alive) seed->task = task;
    if (task) return;
    app_unref(seed->using);
    seed->using = NULL;
    settle(seed, err_text(ERR_NO_MEMORY));
}

/* From the loop and not from the end of the one before: a queue of wishes must not become a stack of calls. */
static void on_next(deferred_t *deferred) {
    seed_t *seed = LIST_OWNER(deferred, seed_t, next);
    if (seed->current || !seed->app) return;
    list_t *node = list_shift(&seed->wishes);
    if (node) {
        seed->current = LIST_OWNER(node, wish_t, node);
        start(seed);
    } else {
        seed->idle(seed->data);
    }
}

static void on_retry(deadline_t *deadline) {
    seed_t *seed = LIST_OWNER(deadline, seed_t, retry);
    list_splice(&seed->wishes, &seed->failed);
    go_on(seed);
}

/* Whether one that has not begun yet does what a wish for the slug would. */
static bool waits(const list_t *wishes, const char *slug) {
    for (const list_t *node = wishes->next; node != wishes; node = node->next) {
        const wish_t *wish = LIST_OWNER(node, wish_t, node);
        if (!wish->slug || (slug && strcmp(wish->slug, slug) == 0)) return true;
    }
    return false;
}

static wish_t *wish_new(const char *slug) {
    wish_t *wish = calloc(1, sizeof *wish);
    if (wish && slug) wish->slug = strdup(slug);
    if (!wish || !slug || wish->slug) return wish;
    free(wish);
    return NULL;
}

static void wish(seed_t *seed, const char *slug) {
    if (seed->stopped || waits(&seed->wishes, slug)) return;
    wish_t *wish = wish_new(slug);
    if (wish)
        list_push(&seed->wishes, &wish->node);
    else
        log_failure(err_text(ERR_NO_MEMORY));
    go_on(seed);
}

void seed_all(seed_t *seed) {
    wish(seed, NULL);
}
void seed_one(seed_t *seed, const char *slug) {
    wish(seed, slug);
}

void seed_use(seed_t *seed, app_t *app) {
    if (seed->task) task_cancel(seed->task);
    app_unref(seed->app);
    seed->app = app_ref(app);
    if (!list_empty(&seed->wishes)) go_on(seed);
}

void seed_stop(seed_t *seed) {
    seed->stopped = true;
    deferred_clear(&seed->next);
    deadline_clear(&seed->retry);
    if (seed->task) task_cancel(seed->task);
}

seed_t *seed_new(struct services *services, void (*idle)(void *data), void *data) {
    seed_t *seed = calloc(1, sizeof *seed);
    if (!seed) return NULL;
    seed->services = services;
    seed->idle = idle;
    seed->data = data;
    list_init(&seed->wishes);
    list_init(&seed->failed);
    deferred_init(&seed->next, on_next);
    deadline_init(&seed->retry, on_retry);
    return seed;
}

void seed_tell(seed_t *seed, void (*stored)(void *data, const char *slug, const char *refused)) {
    seed->stored = stored;
}

void seed_delete(seed_t *seed) {
    seed_stop(seed);
    delete_all(&seed->wishes);
    delete_all(&seed->failed);
    app_unref(seed->app);
    free(seed);
}
