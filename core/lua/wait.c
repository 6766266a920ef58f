/* wait.c: wait_all, which runs functions side by side, and sleep. */
#include <stdlib.h>
#include <lauxlib.h>
#include "base/err.h"
#include "lua/task.h"

enum { CHILDREN_MOST = 64, NEST_MOST = 2, SLEEP_MOST_MS = 60000 };

typedef struct side side_t;
typedef struct child {
    side_t *side;
    task_t *task; /* NULL before the start and after the end */
    int index;
} child_t;

/* One wait_all. The table behind `table` holds the function of each child, then its result. */
struct side {
    await_t await;
    task_ops_t ops; /* the parent's enter and leave, our done */
    vm_t *vm;
    task_t *parent;
    deferred_t start; /* children start from the loop, so that resumes never nest */
    int nest, table, count, alive;
    int busy; /* loops over the children that run now: the side must outlive them */
    bool cancelled, no_memory;
    child_t children[];
};

/* Results */

typedef struct ended {
    const child_t *child;
    int nresults;
    bool ok;
    lua_State *co;
    const char *error;
} ended_t;

static void push_values(lua_State *L, const ended_t *ended) {
    lua_pushinteger(L, ended->nresults);
    lua_setfield(L, -2, "n");
    for (int i = 1; i <= ended->nresults; i++) {
        lua_pushvalue(ended->co, i - ended->nresults - 1);
        lua_xmove(ended->co, L, 1);
        lua_rawseti(L, -2, i);
    }
}

/* The error value itself under `error`, for who wants to raise it again; its text with the traceback beside it. */
static void push_failure(lua_State *L, const ended_t *ended) {
    if (ended->nresults > 0) {
        lua_pushvalue(ended->co, -1);
        lua_xmove(ended->co, L, 1);
    } else {
        lua_pushstring(L, ended->error);
    }
    lua_setfield(L, -2, "error");
    lua_pushstring(L, ended->error);
    lua_setfield(L, -2, "traceback");
}

static int store_result(lua_State *L) {
    const ended_t *ended = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ended->child->side->table);
    lua_createtable(L, ended->ok ? ended->nresults : 0, 3);
    lua_pushboolean(L, ended->ok);
    lua_setfield(L, -2, "ok");
    if (ended->ok) {
        push_values(L, ended);
    } else {
        push_failure(L, ended);
    }
    lua_rawseti(L, -2, ended->child->index);
    return 0;
}

/* Children */

/* The last statement of whoever calls it: an abandoned side is gone behind it. */
static void finish_if_over(side_t *side) {
    if (side->busy > 0 || side->alive > 0) return;
    if (side->no_memory) {
        await_fail(&side->await, ERR_NO_MEMORY, NULL);
    } else {
        await_finish(&side->await);
    }
}

static void on_child_done(
    task_t *task, task_end_t end, lua_State *co, int nresults, const char *error) {
    child_t *child = task_slot(task);
    side_t *side = child->side;
    child->task = NULL;
    side->alive--;
    if (!side->cancelled) {
        ended_t ended = {child, nresults, end == TASK_OK, co, error};
        if (vm_protect(side->vm, store_result, &ended, NULL, 0) != 0) side->no_memory = true;
    }
    finish_if_over(side);
}

static int push_child(lua_State *L, void *data) {
    const child_t *child = data;
    lua_rawgeti(L, LUA_REGISTRYINDEX, child->side->table);
    lua_rawgeti(L, -1, child->index);
    lua_replace(L, -2);
    return 0; /* no arguments */
}

static void start_child(side_t *side, child_t *child) {
    task_options_t options = {.vm = side->vm,
        .ops = &side->ops,
        .parent = side->parent,
        .slot = child,
        .self = &child->task};
    bool alive;
    side->alive++;
    if (task_start(&options, push_child, child, &alive) != NULL) return;
    side->alive--;
    side->no_memory = true;
}

/* A child that runs may cancel the parent, and with it this side. */
static void on_start(deferred_t *start) {
    side_t *side = LIST_OWNER(start, side_t, start);
    side->busy++;
    for (int i = 0; i < side->count && !side->cancelled; i++)
        start_child(side, &side->children[i]);
    side->busy--;
    finish_if_over(side);
}

/* The wait */

static int push_results(await_t *await, lua_State *L) {
    const side_t *side = LIST_OWNER(await, side_t, await);
    lua_rawgeti(L, LUA_REGISTRYINDEX, side->table);
    return 1;
}

/* Comes only when the parent ends, never by a deadline: the VM is there. */
static void cancel(await_t *await) {
    side_t *side = LIST_OWNER(await, side_t, await);
    side->cancelled = true;
    deferred_clear(&side->start);
    side->busy++;
    for (int i = 0; i < side->count; i++) {
        if (side->children[i].task != NULL) task_cancel(side->children[i].task);
    }
    side->busy--;
    finish_if_over(side);
}

static void release(await_t *await) {
    side_t *side = LIST_OWNER(await, side_t, await);
    luaL_unref(side->vm->L, LUA_REGISTRYINDEX, side->table);
    free(side);
}

static const await_ops_t SIDE_OPS = {push_results, cancel, release, "wait_all"};

/* A table of the functions, so that the script may change its own in the meantime. */
static int copy_functions(lua_State *L, int count) {
    lua_createtable(L, count, 0);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, i);
        if (!lua_isfunction(L, -1)) luaL_argerror(L, 1, "a list of functions expected");
        lua_rawseti(L, -2, i);
    }
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static int nest_of(const task_t *task) {
    const child_t *child = task != NULL ? task_slot(task) : NULL;
    return child != NULL ? child->side->nest + 1 : 1;
}

static side_t *make(lua_State *L, int count, int table) {
    side_t *side = calloc(1, sizeof *side + (size_t)count * sizeof side->children[0]);
    if (side == NULL) return NULL;
    side->vm = vm_of(L);
    side->parent = side->vm->running;
    side->nest = nest_of(side->parent);
    side->table = table;
    side->count = count;
    side->ops.done = on_child_done;
    for (int i = 0; i < count; i++)
        side->children[i] = (child_t){side, NULL, i + 1};
    deferred_init(&side->start, on_start);
    return side;
}

/* wait_all{fn, …} → a list, in order, of {ok = true, n = count, values…} or {ok = false, error = value, traceback =
   text}. */
int wait_all(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int count = (int)lua_objlen(L, 1);
    luaL_argcheck(L, count <= CHILDREN_MOST, 1, "at most 64 functions");
    if (nest_of(task_of(L)) > NEST_MOST) luaL_error(L, "wait_all nests too deep");
    if (count == 0) {
        lua_newtable(L);
        return 1;
    }
    int table = copy_functions(L, count);
    side_t *side = make(L, count, table);
    if (side == NULL) {
        luaL_unref(L, LUA_REGISTRYINDEX, table);
        return await_push_error(L, ERR_NO_MEMORY, NULL);
    }
    await_begin(L, &side->await, &SIDE_OPS, AWAIT_NO_DEADLINE);
    const task_ops_t *ops = task_get_ops(side->parent);
    side->ops.enter = ops->enter;
    side->ops.leave = ops->leave;
    loop_defer(side->vm->loop, &side->start);
    return await_park(L, &side->await);
}

/* Sleep */

typedef struct rest {
    await_t await;
    deadline_t over;
} rest_t;

static int push_true(await_t *await, lua_State *L) {
    (void)await;
    lua_pushboolean(L, true);
    return 1;
}

static void on_over(deadline_t *over) {
    rest_t *rest = LIST_OWNER(over, rest_t, over);
    await_finish(&rest->await);
}

static void stop_resting(await_t *await) {
    rest_t *rest = LIST_OWNER(await, rest_t, await);
    deadline_clear(&rest->over);
    await_finish(await);
}

static void free_rest(await_t *await) {
    free(LIST_OWNER(await, rest_t, await));
}

static const await_ops_t REST_OPS = {push_true, stop_resting, free_rest, "sleep"};

/* sleep(ms) → true; at most a minute. */
static int l_sleep(lua_State *L) {
    lua_Number ms = luaL_checknumber(L, 1);
    luaL_argcheck(L, ms >= 0 && ms <= SLEEP_MOST_MS, 1, "0 to 60000 milliseconds");
    rest_t *rest = calloc(1, sizeof *rest);
    if (rest == NULL) return await_push_error(L, ERR_NO_MEMORY, NULL);
    await_begin(L, &rest->await, &REST_OPS, 0);
    loop_t *loop = vm_of(L)->loop;
    deadline_init(&rest->over, on_over);
    deadline_set(loop, &rest->over, loop_now(loop) + (uint64_t)ms);
    return await_park(L, &rest->await);
}

int luaopen_wait(lua_State *L) {
    lua_pushcfunction(L, wait_all);
    lua_setglobal(L, "wait_all");
    lua_pushcfunction(L, l_sleep);
    lua_setglobal(L, "sleep");
    return 0;
}
