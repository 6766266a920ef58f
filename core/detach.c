/* detach.c: a task of its own for a function, and the wait of whoever started it, which may end sooner. */
#include "detach.h"
#include "base/err.h"
#include "base/log.h"
#include "handler.h"
#include "traffic.h"
#include <stdio.h>
#include <stdlib.h>

#define RUNS_MOST 1024 /* clients that leave must not pile up work behind them */
#define RESULTS_MOST 15
#define EXTRA_MOST_MS 60000
#define WAIT_MOST_MS 60000

typedef struct waiting waiting_t;

/* In services->detached until its end. */
typedef struct run {
    list_t node;
    deferred_t start;
    app_t *app;
    task_t *task;
    waiting_t *waiting; /* NULL once nobody waits */
    int fn;             /* registry reference */
    uint64_t deadline_ms;
    double handle; /* the request's */
    char id[REQUEST_ID_MAX + 1];
} run_t;

struct waiting {
    await_t await;
    run_t *run; /* NULL once it has ended */
    app_t *app;
    int fn;      /* registry reference, until the run takes it over */
    int results; /* registry reference to the list of what is pushed */
    int count;
};

static void run_delete(run_t *run) {
    app_t *app = run->app;
    luaL_unref(app->vm->L, LUA_REGISTRYINDEX, run->fn);
    list_remove(&run->node);
    app->services->ndetached--;
    free(run);
    app_unref(app);
}

/* The wait */

static int push(await_t *await, lua_State *L) {
    const waiting_t *waiting = LIST_OWNER(await, waiting_t, await);
    lua_rawgeti(L, LUA_REGISTRYINDEX, waiting->results);
    int table = lua_gettop(L);
    for (int i = 1; i <= waiting->count; i++)
        lua_rawgeti(L, table, i);
    lua_remove(L, table);
    return waiting->count;
}

static void cancel(await_t *await) {
    waiting_t *waiting = LIST_OWNER(await, waiting_t, await);
    waiting->run->waiting = NULL;
    await_finish(await);
}

static void release(await_t *await) {
    waiting_t *waiting = LIST_OWNER(await, waiting_t, await);
    luaL_unref(waiting->app->vm->L, LUA_REGISTRYINDEX, waiting->fn);
    luaL_unref(waiting->app->vm->L, LUA_REGISTRYINDEX, waiting->results);
    app_unref(waiting->app);
    free(waiting);
}

static const await_ops_t WAIT = {push, cancel, release, "detach"};

/* The task */

typedef struct ended {
    waiting_t *waiting;
    lua_State *co;
    task_end_t end;
    int nresults;
    const char *error;
} ended_t;

/* The table is at 2, and gets false, the error value, and its text. */
static void store_failure(lua_State *L, const ended_t *ended) {
    lua_pushboolean(L, false);
    lua_rawseti(L, 2, 1);
    if (ended->nresults > 0) {
        lua_pushvalue(ended->co, -1);
        lua_xmove(ended->co, L, 1);
        lua_rawseti(L, 2, 2);
    }
    lua_pushstring(L, ended->end == TASK_TIMEOUT ? "timeout" : ended->error);
    lua_rawseti(L, 2, 3);
    ended->waiting->count = 3;
}

static void store_values(lua_State *L, const ended_t *ended) {
    int count = ended->nresults < RESULTS_MOST ? ended->nresults : RESULTS_MOST;
    lua_pushboolean(L, true);
    lua_rawseti(L, 2, 1);
    for (int i = 0; i < count; i++) {
        lua_pushvalue(ended->co, i - ended->nresults);
        lua_xmove(ended->co, L, 1);
        lua_rawseti(L, 2, i + 2);
    }
    ended->waiting->count = count + 1;
}

static int store(lua_State *L) {
    const ended_t *ended = lua_touserdata(L, 1);
    lua_createtable(L, RESULTS_MOST + 1, 0);
    if (ended->end == TASK_OK)
        store_values(L, ended);
    else
        store_failure(L, ended);
    ended->waiting->results = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static void log_failure(const run_t *run, const char *error) {
    buf_t *line = log_begin(LOG_ERROR, "handler_failed");
    if (!line) return;
    buf_text(line, ",\"requestId\":");
    buf_json(line, span_of(run->id));
    buf_text(line, ",\"error\":");
    buf_json(line, span_of(error ? error : "it did not end in time"));
    log_end();
}

static void tell(waiting_t *waiting, ended_t *ended) {
    waiting->run = NULL;
    ended->waiting = waiting;
    if (vm_protect(waiting->app->vm, store, ended, NULL, 0) == 0)
        await_finish(&waiting->await);
    else
        await_fail(&waiting->await, ERR_NO_MEMORY, NULL);
}

static void on_done(task_t *task, task_end_t end, lua_State *co, int nresults, const char *error) {
    run_t *run = task_user(task);
    ended_t ended = {.co = co, .end = end, .nresults = nresults, .error = error};
    run->task = NULL;
    if (run->waiting)
        tell(run->waiting, &ended);
    else if (end != TASK_OK && end != TASK_CANCELLED)
        log_failure(run, error);
    run_delete(run);
}

static int push_fn(lua_State *L, void *data) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, ((run_t *)data)->fn);
    return 0;
}

/* By its address a task is known for a detached one. */
static const task_ops_t DETACHED = {.done = on_done};

request_t *detach_request(task_t *task) {
    const task_t *root = task ? task_root(task) : NULL;
    if (!root || task_get_ops(root) != &DETACHED) return handler_request(root);
    const run_t *run = task_user(root);
    const traffic_t *traffic = run->app->services->traffic;
    return traffic ? traffic_find(traffic, run->handle) : NULL;
}

static void on_start(deferred_t *start) {
    run_t *run = LIST_OWNER(start, run_t, start);
    task_options_t options = {.vm = run->app->vm,
        .ops = &DETACHED,
        .user = run,
        .deadline_ms = run->deadline_ms,
        .request_id = run->id,
        .self = &run->task};
    bool alive;
    if (task_start(&options, push_fn, run, &alive)) return;
    waiting_t *waiting = run->waiting;
    if (waiting) {
        waiting->run = NULL;
        await_fail(&waiting->await, ERR_NO_MEMORY, NULL);
    }
    run_delete(run);
}

/* Takes over the function. */
static run_t *run_new(waiting_t *waiting, double extra_ms) {
    task_t *task = waiting->await.task;
    run_t *run = calloc(1, sizeof *run);
    if (!run) return NULL;
    const char *id = task_request_id(task);
    const request_t *request = detach_request(task);
    uint64_t deadline = task_deadline(task);
    run->app = app_ref(waiting->app);
    run->waiting = waiting;
    run->fn = waiting->fn;
    waiting->fn = LUA_NOREF;
    run->handle = request ? request->handle : -1;
    run->deadline_ms = deadline ? (uint64_t)((double)deadline + extra_ms) : 0;
    snprintf(run->id, sizeof run->id, "%s", id ? id : "");
    deferred_init(&run->start, on_start);
    list_push(&run->app->services->detached, &run->node);
    run->app->services->ndetached++;
    return run;
}

static int l_detach(lua_State *L) {
    app_t *app = app_of(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    double extra_ms = luaL_optnumber(L, 2, 0);
    luaL_argcheck(L, extra_ms >= -EXTRA_MOST_MS && extra_ms <= EXTRA_MOST_MS, 2, "up to a minute");
    double wait_ms = luaL_optnumber(L, 3, 0); /* 0: as long as the task lives */
    luaL_argcheck(L, wait_ms >= 0 && wait_ms <= WAIT_MOST_MS, 3, "up to a minute");
    if (app->services->ndetached >= RUNS_MOST)
        return await_push_error(L, ERR_BUSY, "too many handlers run");
    lua_settop(L, 1);
    int fn = luaL_ref(L, LUA_REGISTRYINDEX);
    waiting_t *waiting = calloc(1, sizeof *waiting);
    if (!waiting) {
        luaL_unref(L, LUA_REGISTRYINDEX, fn);
        return await_push_error(L, ERR_NO_MEMORY, NULL);
    }
    waiting->app = app_ref(app);
    waiting->fn = fn;
    waiting->results = LUA_NOREF;
    await_begin(L, &waiting->await, &WAIT, (uint64_t)wait_ms);
    waiting->run = run_new(waiting, extra_ms);
    if (waiting->run)
        loop_defer(app->services->loop, &waiting->run->start);
    else
        await_fail(&waiting->await, ERR_NO_MEMORY, NULL);
    return await_park(L, &waiting->await);
}

void detach_stop(services_t *services) {
    for (list_t *node; (node = services->detached.next) != &services->detached;) {
        run_t *run = LIST_OWNER(node, run_t, node);
        deferred_clear(&run->start);
        if (run->task)
            task_cancel(run->task);
        else
            run_delete(run);
    }
}

int luaopen_detach(lua_State *L) {
    lua_pushcfunction(L, l_detach);
    return 1;
}
