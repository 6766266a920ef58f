/* sandbox_task.c: starts a route of routes.lua as a task, with one budget over all its resumes. */
#include "lua/sandbox_own.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/list.h"

/* One route under way. Found by the task's `user`, which the children of a wait_all share: they spend from the
   same budget. */
typedef struct visit {
    list_t node; /* in sandbox->visits */
    sandbox_t *sandbox;
    budget_t budget;
    uint64_t random[4];
    const task_ops_t *ops; /* the caller's */
    void *user;
    int (*push)(lua_State *L, void *data);
    void *data;
    const char *route;
    int chunk, handler; /* references */
    sandbox_fault_t *fault;
    int err;
} visit_t;

static visit_t *visit_of(const task_t *task) {
    sandbox_t *sandbox = (sandbox_t *)task_vm(task);
    for (list_t *node = sandbox->visits.next; node != &sandbox->visits; node = node->next) {
        visit_t *visit = LIST_OWNER(node, visit_t, node);
        if (visit->user == task_user(task)) return visit;
    }
    return NULL;
}

static void enter_visit(visit_t *visit) {
    memcpy(visit->sandbox->random, visit->random, sizeof visit->random);
    budget_enter(visit->sandbox, &visit->budget);
}

static void leave_visit(visit_t *visit) {
    budget_leave(visit->sandbox);
    memcpy(visit->random, visit->sandbox->random, sizeof visit->random);
}

static void enter(task_t *task) {
    visit_t *visit = visit_of(task);
    enter_visit(visit);
    if (visit->ops->enter) visit->ops->enter(task);
}

/* A budget that is gone ends the task, whatever its script made of the errors. */
static void leave(task_t *task) {
    visit_t *visit = visit_of(task);
    if (visit->ops->leave) visit->ops->leave(task);
    leave_visit(visit);
    if (visit->budget.err) task_break(task, err_text(visit->budget.err));
}

static void free_visit(visit_t *visit) {
    list_remove(&visit->node);
    luaL_unref(visit->sandbox->vm.L, LUA_REGISTRYINDEX, visit->handler);
    free(visit);
}

static void done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    visit_t *visit = visit_of(task);
    sandbox_t *sandbox = visit->sandbox;
    visit->ops->done(task, end, L, nresults, error);
    free_visit(visit);
    if (list_empty(&sandbox->visits)) sandbox_tidy(sandbox);
}

static const task_ops_t OPS = {done, enter, leave};

/* Runs routes.lua afresh and keeps the function of the route. */
static int find_handler(lua_State *L, void *data) {
    visit_t *visit = data;
    char *text = visit->fault->text;
    sandbox_run_chunk(L, visit->chunk);
    visit->err = ERR_BAD_RESULT;
    if (!lua_istable(L, -1)) {
        snprintf(text, sizeof visit->fault->text,
            "the file returns a value of type %s instead of a table of routes",
            luaL_typename(L, -1));
        return 0;
    }
    lua_pushstring(L, visit->route);
    lua_rawget(L, -2);
    if (!lua_isfunction(L, -1)) {
        snprintf(text, sizeof visit->fault->text, "the route '%.80s' is of type %s, not a function",
            visit->route, luaL_typename(L, -1));
        return 0;
    }
    visit->handler = luaL_ref(L, LUA_REGISTRYINDEX);
    visit->err = 0;
    return 0;
}

static int open_visit(visit_t *visit) {
    sandbox_t *sandbox = visit->sandbox;
    lua_State *L = sandbox->vm.L;
    int top = lua_gettop(L);
    sandbox->named = 0;
    lib_math_seed(sandbox, budget_clock_ns());
    memcpy(visit->random, sandbox->random, sizeof visit->random);
    enter_visit(visit);
    sandbox_call_t call = {.ref = visit->chunk};
    int status = vm_call(L, find_handler, visit);
    call.err = visit->err;
    int err = sandbox_finish_call(sandbox, status, &call, visit->fault);
    leave_visit(visit);
    lua_settop(L, top);
    return err;
}

static int push_handler(lua_State *L, void *data) {
    visit_t *visit = data;
    lua_rawgeti(L, LUA_REGISTRYINDEX, visit->handler);
    return visit->push(L, visit->data);
}

task_t *sandbox_start(sandbox_t *sandbox, int ref, const char *route, const task_options_t *options,
    int (*push)(lua_State *L, void *data), void *data, bool *alive, sandbox_fault_t *fault) {
    *alive = false;
    *fault = (sandbox_fault_t){0};
    visit_t *visit = calloc(1, sizeof *visit);
    if (!visit) return sandbox_fault_set(fault, ERR_NO_MEMORY, "", err_text(ERR_NO_MEMORY)), NULL;
    *visit = (visit_t){.sandbox = sandbox,
        .ops = options->ops,
        .user = options->user,
        .push = push,
        .data = data,
        .route = route,
        .chunk = ref,
        .handler = LUA_NOREF,
        .fault = fault};
    list_init(&visit->node);
    list_push(&sandbox->visits, &visit->node);
    budget_create(&visit->budget, &sandbox->limits);
    if (open_visit(visit) != 0) return free_visit(visit), NULL;
    task_options_t own = *options;
    own.vm = &sandbox->vm;
    own.ops = &OPS;
    task_t *task = task_start(&own, push_handler, visit, alive);
    if (task) return task;
    free_visit(visit);
    sandbox_fault_set(fault, ERR_BUDGET_MEMORY, "", err_text(ERR_BUDGET_MEMORY));
    return NULL;
}

void sandbox_task_fault(task_t *task, const char *error, sandbox_fault_t *fault) {
    visit_t *visit = visit_of(task);
    char text[400];
    if (visit->budget.err) {
        sandbox_fault_budget(&visit->budget, fault);
        return;
    }
    /* The first line; the traceback behind it is for the log. */
    snprintf(text, sizeof text, "%s", error ? error : err_text(ERR_RULE_ERROR));
    text[strcspn(text, "\n")] = 0;
    sandbox_fault_text(visit->sandbox, text, fault);
}
