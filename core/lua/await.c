/* await.c: the life of one wait: begun, parked, finished or abandoned, released exactly once. */
#include "lua/await.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <lauxlib.h>
#include "base/clock.h"
#include "base/err.h"
#include "lua/task.h"

/* BEGUN    the driver works, the script has not yielded yet
   EARLY    finished before the script yielded: park pushes the results at once
   PARKED   the driver works, the script has yielded
   WAKING   finished, the script goes on at the end of this turn
   ABANDONED  the driver works, nobody waits
   RELEASED   the operation's memory is the operation's again */
enum { BEGUN = 1, EARLY, PARKED, WAKING, ABANDONED, RELEASED };

static void release(await_t *await) {
    assert(await->state != RELEASED);
    await->state = RELEASED;
    await->ops->release(await);
}

int await_push_error(lua_State *L, int err, const char *detail) {
    lua_pushnil(L);
    lua_pushstring(L, detail != NULL && detail[0] != '\0' ? detail : err_text(err));
    lua_pushstring(L, err_name(err));
    return 3;
}

static int push_results(lua_State *L, void *data) {
    await_t *await = data;
    if (await->err != 0) return await_push_error(L, await->err, await->detail);
    int n = await->ops->push(await, L);
    assert(n >= 0 && n <= 16);
    return n;
}

static void set_error(await_t *await, int err, const char *detail) {
    await->err = err;
    snprintf(await->detail, sizeof await->detail, "%s", detail != NULL ? detail : "");
}

/* Leaves the results on L and returns how many; -1 when there is no memory even for an error. */
static int results(await_t *await, lua_State *L) {
    int top = lua_gettop(L);
    int status = vm_call(L, push_results, await);
    if (status != 0 && await->err == 0) {
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        set_error(await, status == LUA_ERRMEM ? ERR_NO_MEMORY : ERR_INTERNAL, text);
        lua_settop(L, top);
        status = vm_call(L, push_results, await);
    }
    if (status == 0) return lua_gettop(L) - top;
    lua_settop(L, top);
    return -1;
}

/* From the loop, never inside the call that finished: the driver's own state is in order again. */
static void on_wake(deferred_t *wake) {
    await_t *await = LIST_OWNER(wake, await_t, wake);
    assert(await->state == WAKING);
    task_t *task = await->task;
    const char *name = await->ops->name;
    uint64_t waited_ns = clock_mono_ns() - await->began_ns;
    int n = results(await, task_vm(task)->L);
    release(await);
    if (n < 0) {
        task_starve(task);
    } else {
        task_wake(task, name, waited_ns, n);
    }
}

/* The script goes on at once; the operation stays the driver's until it finishes. */
static void on_deadline(deadline_t *deadline) {
    await_t *await = LIST_OWNER(deadline, await_t, deadline);
    assert(await->state == PARKED);
    task_t *task = await->task;
    const char *name = await->ops->name;
    uint64_t waited_ns = clock_mono_ns() - await->began_ns;
    set_error(await, ERR_TIMEOUT, NULL);
    int n = results(await, task_vm(task)->L);
    await->task = NULL;
    await->state = ABANDONED;
    await->ops->cancel(await);
    if (n < 0) {
        task_starve(task);
    } else {
        task_wake(task, name, waited_ns, n);
    }
}

static uint64_t deadline_of(const await_t *await, uint64_t timeout_ms) {
    uint64_t own = task_deadline(await->task);
    if (timeout_ms == AWAIT_NO_DEADLINE) return 0;
    if (timeout_ms == 0) return own;
    uint64_t at = loop_now(await->loop) + timeout_ms;
    return own != 0 && own < at ? own : at;
}

void await_begin(lua_State *L, await_t *await, const await_ops_t *ops, uint64_t timeout_ms) {
    memset(await, 0, sizeof *await);
    await->ops = ops;
    const char *refusal = task_refuses(L, &await->task);
    if (refusal != NULL) {
        const char *name = ops->name;
        release(await);
        luaL_error(L, "%s cannot wait here: %s", name, refusal);
    }
    await->loop = vm_of(L)->loop;
    await->began_ns = clock_mono_ns();
    await->state = BEGUN;
    deadline_init(&await->deadline, on_deadline);
    deferred_init(&await->wake, on_wake);
    await->deadline.at_ms = deadline_of(await, timeout_ms);
}

int await_park(lua_State *L, await_t *await) {
    if (await->state == EARLY) {
        int n = results(await, L);
        release(await);
        return n >= 0 ? n : luaL_error(L, "not enough memory");
    }
    assert(await->state == BEGUN);
    await->state = PARKED;
    if (await->deadline.at_ms != 0) {
        deadline_set(await->loop, &await->deadline, await->deadline.at_ms);
    }
    task_parked(await->task, await);
    return lua_yield(L, 0);
}

void await_finish(await_t *await) {
    switch (await->state) {
    case BEGUN:
        await->state = EARLY;
        return;
    case PARKED:
        await->state = WAKING;
        deadline_clear(&await->deadline);
        loop_defer(await->loop, &await->wake);
        return;
    default:
        assert(await->state == ABANDONED);
        release(await);
    }
}

void await_fail(await_t *await, int err, const char *detail) {
    if (await->state != ABANDONED) set_error(await, err, detail);
    await_finish(await);
}

void await_abandon(await_t *await) {
    assert(await->state == PARKED || await->state == WAKING);
    deadline_clear(&await->deadline);
    await->task = NULL;
    if (await->state == WAKING) {
        deferred_clear(&await->wake);
        release(await);
    } else {
        await->state = ABANDONED;
        await->ops->cancel(await);
    }
}

uint64_t await_left(const await_t *await) {
    uint64_t at = await->deadline.at_ms, now = loop_now(await->loop);
    if (at == 0) return UINT32_MAX;
    return at > now ? at - now : 1;
}
