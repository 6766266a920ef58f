/* task.c: runs coroutines: starts, resumes, ends and reuses them; holds the only lua_resume of the server. */
#include "lua/task.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"

enum { IDLE_MOST = 128, ROLES = 8 };

typedef struct spent {
    const char *name;
    uint64_t ns;
} spent_t;

struct task {
    list_t idle;
    vm_t *vm;
    lua_State *co;
    int anchor; /* registry reference that keeps co alive */
    const task_ops_t *ops;
    void *user, *slot;
    task_t *parent;
    const char *request_id;
    uint64_t deadline_ms;
    await_t *await; /* what it waits for; NULL while it runs */
    int waits, waits_most;
    bool running;
    bool doomed; /* cancelled while it runs */
    bool late;   /* tried to wait behind its deadline */
    bool waits_spent;
    char *error; /* malloc'd; set by task_break or when it failed */
    bool *alive; /* task_start's caller, until task_start returns */
    spent_t spent[ROLES];
    list_t bonds;
};

static const char STARVED[] = "not enough memory";

/* Coroutines */

static int make_coroutine(lua_State *L, void *data) {
    task_t *task = data;
    task->co = lua_newthread(L);
    task->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static task_t *make(vm_t *vm) {
    task_t *task = calloc(1, sizeof *task);
    if (task == NULL) return NULL;
    int top = lua_gettop(vm->L);
    int status = vm_call(vm->L, make_coroutine, task);
    lua_settop(vm->L, top);
    if (status == 0) return task;
    free(task);
    return NULL;
}

static task_t *take(vm_t *vm) {
    list_t *node = list_shift(&vm->idle);
    if (node == NULL) return make(vm);
    vm->idle_count--;
    return LIST_OWNER(node, task_t, idle);
}

static void drop(task_t *task) {
    luaL_unref(task->vm->L, LUA_REGISTRYINDEX, task->anchor);
    free(task);
}

/* Only after a clean end: behind an error or a cancel frames, hooks and half-done C calls may be left on the stack.
   The script may have given its thread other globals, so they are set back as well. */
static void keep(task_t *task) {
    vm_t *vm = task->vm;
    if (vm->idle_count >= IDLE_MOST) {
        drop(task);
        return;
    }
    lua_settop(task->co, 0);
    lua_pushvalue(vm->L, LUA_GLOBALSINDEX);
    lua_xmove(vm->L, task->co, 1);
    lua_replace(task->co, LUA_GLOBALSINDEX);
    list_init(&task->idle);
    list_push(&vm->idle, &task->idle);
    vm->idle_count++;
}

void task_drop_idle(vm_t *vm) {
    for (list_t *node; (node = list_shift(&vm->idle)) != NULL;)
        drop(LIST_OWNER(node, task_t, idle));
    vm->idle_count = 0;
}

/* Errors */

/* On the main stack: the error value of the coroutine, its traceback, then that of each task that waits for it. */
static int describe(lua_State *L, void *data) {
    task_t *task = data;
    luaL_checkstack(L, 20, "describing an error");
    lua_pushvalue(task->co, -1);
    lua_xmove(task->co, L, 1);
    vm_error_text(L, -1);
    luaL_traceback(L, task->co, lua_tostring(L, -1), 0);
    for (task_t *up = task->parent; up != NULL; up = up->parent) {
        lua_pushliteral(L, "\nwaited for by:\n");
        luaL_traceback(L, up->co, NULL, 0);
        lua_concat(L, 3);
    }
    if (task->request_id != NULL) {
        lua_pushfstring(L, "\n\tin request %s", task->request_id);
        lua_concat(L, 2);
    }
    task->error = strdup(lua_tostring(L, -1));
    return 0;
}

static void find_error(task_t *task) {
    lua_State *L = task->vm->L;
    int top = lua_gettop(L);
    vm_call(L, describe, task);
    lua_settop(L, top);
}

void task_break(task_t *task, const char *text) {
    free(task->error);
    task->error = strdup(text);
}

/* The end */

static void charge(task_t *task, const char *name, uint64_t ns) {
    for (; task != NULL; task = task->parent) {
        spent_t *spent = task->spent;
        for (int i = 0; i < ROLES - 1 && spent->name != NULL && spent->name != name; i++)
            spent++;
        if (spent->name == NULL) spent->name = name;
        spent->ns += ns;
    }
}

static void end_bonds(task_t *task) {
    for (list_t *node; (node = list_shift(&task->bonds)) != NULL;) {
        task_bond_t *bond = LIST_OWNER(node, task_bond_t, node);
        bond->ended(bond);
    }
}

static void end(task_t *task, task_end_t how, int nresults) {
    vm_t *vm = task->vm;
    end_bonds(task);
    if (task->alive != NULL) *task->alive = false;
    const char *error = task->error;
    if (error == NULL && how != TASK_OK && how != TASK_CANCELLED) error = STARVED;
    task->ops->done(task, how, task->co, nresults, error);
    free(task->error);
    if (how == TASK_OK) {
        keep(task);
    } else {
        drop(task);
    }
    vm->children--;
}

static void end_cancelled(task_t *task) {
    await_t *await = task->await;
    task->await = NULL;
    if (await != NULL) await_abandon(await);
    free(task->error);
    task->error = NULL;
    end(task, TASK_CANCELLED, 0);
}

static void end_broken(task_t *task) {
    await_t *await = task->await;
    task->await = NULL;
    if (await != NULL) await_abandon(await);
    end(task, TASK_ERROR, 0);
}

static void end_failed(task_t *task, int status) {
    find_error(task);
    task_end_t how = task->late ? TASK_TIMEOUT : TASK_ERROR;
    end(task, status == LUA_ERRRUN ? how : TASK_NO_MEMORY, 1);
}

/* What a resume came back with. */
static void settle(task_t *task, int status) {
    if (task->doomed) {
        end_cancelled(task);
    } else if (task->error != NULL) {
        end_broken(task);
    } else if (status == 0) {
        end(task, TASK_OK, lua_gettop(task->co));
    } else if (status != LUA_YIELD) {
        end_failed(task, status);
    } else if (task->await == NULL) {
        task_break(task, "the script yielded outside of a wait");
        end_broken(task);
    }
}

/* The one place that resumes a coroutine. The contract:
   - The task's coroutine is fresh (function and nargs arguments on its stack) or parked in await_park (nargs results
     on its stack).
   - LUA_YIELD comes back when the script parked in an await, which is then task->await and whose driver calls
     await_finish some time; or when it called coroutine.yield itself, with task->await NULL, which is an error.
   - 0 comes back when its function returned: the results are all of the coroutine's stack, which may be used again.
   - Anything else is an error: the value is on top, the frames are still there for a traceback, and the coroutine is
     never resumed again.
   - The task may be cancelled or broken while it runs; it is then only marked, and ended here. So the task is alive
     until settle, and gone after settle unless it is parked: a caller touches it no more. */
static void resume(task_t *task, int nargs) {
    vm_t *vm = task->vm;
    task_t *outer = vm->running;
    vm->running = task;
    task->running = true;
    vm_enter(vm);
    if (task->ops->enter != NULL) task->ops->enter(task);
    int status = lua_resume(task->co, nargs);
    if (task->ops->leave != NULL) task->ops->leave(task);
    vm_leave(vm);
    task->running = false;
    vm->running = outer;
    settle(task, status);
}

/* The beginning */

static void fill(task_t *task, const task_options_t *options) {
    lua_State *co = task->co;
    int anchor = task->anchor;
    memset(task, 0, sizeof *task);
    task->co = co;
    task->anchor = anchor;
    task->vm = options->vm;
    task->ops = options->ops;
    task->slot = options->slot;
    task->parent = options->parent;
    const task_t *parent = options->parent;
    task->user = parent != NULL ? parent->user : options->user;
    task->request_id = parent != NULL ? parent->request_id : options->request_id;
    task->deadline_ms = parent != NULL ? parent->deadline_ms : options->deadline_ms;
    task->waits_most = options->budget_waits;
    list_init(&task->bonds);
}

typedef struct first {
    int (*push)(lua_State *L, void *data);
    void *data;
} first_t;

/* What push answers does not count the function. */
static int push_first(lua_State *L, void *data) {
    const first_t *first = data;
    return first->push(L, first->data) + 1;
}

task_t *task_start(
    const task_options_t *options, int (*push)(lua_State *L, void *data), void *data, bool *alive) {
    *alive = false;
    task_t *task = take(options->vm);
    if (task == NULL) return NULL;
    fill(task, options);
    task->alive = alive;
    *alive = true;
    options->vm->children++;
    if (options->self != NULL) *options->self = task;
    first_t first = {push, data};
    int status = vm_call(task->co, push_first, &first);
    if (status == 0) {
        resume(task, lua_gettop(task->co) - 1);
    } else {
        end_failed(task, status);
    }
    if (*alive) task->alive = NULL;
    return task;
}

void task_cancel(task_t *task) {
    if (task->running) {
        task->doomed = true;
        task->parent = NULL; /* the parent may be gone before this one has come back */
    } else {
        end_cancelled(task);
    }
}

/* Waiting */

task_t *task_root(task_t *task) {
    while (task->parent != NULL)
        task = task->parent;
    return task;
}

task_t *task_bind(lua_State *L, task_bond_t *bond) {
    task_t *root = task_root(vm_of(L)->running);
    list_push(&root->bonds, &bond->node);
    return root;
}

static bool count_wait(task_t *task) {
    task_t *root = task_root(task);
    if (root->waits_most == 0) return true;
    if (root->waits < root->waits_most) {
        root->waits++;
        return true;
    }
    root->waits_spent = true;
    return false;
}

const char *task_refuses(lua_State *L, task_t **out) {
    task_t *task = vm_of(L)->running;
    if (task == NULL) return "no request or job runs";
    if (task->doomed) return "it was cancelled";
    if (task->co != L)
        return "inside a coroutine of the script's own; wait_all runs things side by side";
    if (!lua_isyieldable(L)) {
        return "inside a callback of table.sort, string.gsub, require or the like";
    }
    if (task->deadline_ms != 0 && loop_now(task->vm->loop) >= task->deadline_ms) {
        task->late = true;
        return "the deadline has passed";
    }
    if (!count_wait(task)) return "too many waits";
    *out = task;
    return NULL;
}

void task_parked(task_t *task, await_t *await) {
    assert(task->await == NULL);
    task->await = await;
}

void task_wake(task_t *task, const char *name, uint64_t waited_ns, int nresults) {
    charge(task, name, waited_ns);
    task->await = NULL;
    lua_xmove(task->vm->L, task->co, nresults);
    resume(task, nresults);
}

void task_starve(task_t *task) {
    task->await = NULL;
    end(task, TASK_NO_MEMORY, 0);
}

/* Questions */

task_t *task_of(lua_State *L) {
    return vm_of(L)->running;
}
void *task_user(const task_t *task) {
    return task->user;
}
void *task_slot(const task_t *task) {
    return task->slot;
}
vm_t *task_vm(const task_t *task) {
    return task->vm;
}
const task_ops_t *task_get_ops(const task_t *task) {
    return task->ops;
}
const char *task_request_id(const task_t *task) {
    return task->request_id;
}
uint64_t task_deadline(const task_t *task) {
    return task->deadline_ms;
}
bool task_waits_left(const task_t *task) {
    const task_t *root = task_root((task_t *)task);
    return root->waits_most == 0 || root->waits < root->waits_most;
}

bool task_waits_spent(const task_t *task) {
    return task_root((task_t *)task)->waits_spent;
}

uint64_t task_waited_ns(const task_t *task, const char *prefix) {
    uint64_t sum = 0;
    for (int i = 0; i < ROLES && task->spent[i].name != NULL; i++) {
        if (strncmp(task->spent[i].name, prefix, strlen(prefix)) == 0) sum += task->spent[i].ns;
    }
    return sum;
}
