/* task.h: a coroutine with an owner and a deadline; holds the only lua_resume of the server. */
#ifndef PERIGEE_LUA_TASK_H
#define PERIGEE_LUA_TASK_H
#include "lua/await.h"
#include "lua/vm.h"

/* How it ended. On TASK_OK the results are the top nresults values of L and live until the callback returns. On
   TASK_ERROR `error` is a message with traceback across waits and the request id, and the error value itself, which
   may be a table, is the top value of L (nresults is 1; 0 when leave broke the task). TASK_CANCELLED after
   task_cancel. TASK_TIMEOUT when the task's deadline had passed and it ended by trying to wait once more: a wait
   that is cut by the deadline only answers nil, text, "timeout". TASK_NO_MEMORY when Lua ran out of memory. `error`
   is NULL on TASK_OK and TASK_CANCELLED. */
typedef enum { TASK_OK, TASK_ERROR, TASK_CANCELLED, TASK_TIMEOUT, TASK_NO_MEMORY } task_end_t;
typedef struct task_ops {
    /* Exactly once per started task, also inside task_start when it never waits. May start and cancel other tasks,
       but must not destroy the VM: put that off with loop_defer. The task is gone when it returns. */
    void (*done)(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error);
    /* Around every resume of a tenant's coroutine (budget); may be NULL. leave may turn the resume into an error with
       task_break. Resumes never nest: children of wait_all start from the loop. */
    void (*enter)(task_t *task);
    void (*leave)(task_t *task);
} task_ops_t;

typedef struct task_options {
    vm_t *vm;
    const task_ops_t *ops;
    void *user;
    uint64_t deadline_ms; /* loop time; 0 for none */
    const char
        *request_id;  /* for tracebacks and log lines; alive as long as the task; may be NULL */
    int budget_waits; /* most waits in all, those of children included; 0 for no limit */
    /* wait_all's: the task that waits for this one. user, request id, deadline, waits and the time per role are the
       parent's; `slot` is what task_slot answers. */
    task_t *parent;
    void *slot;
    task_t **self; /* set before the script first runs; may be NULL */
} task_options_t;

/* Starts fn: `push` puts the function and its arguments on the new coroutine (protected, may raise) and returns the
   number of arguments. Returns the task, which is already gone when `done` was called inside; use it only if
   *alive is set on return. NULL when out of memory (then done was not called). */
task_t *task_start(
    const task_options_t *options, int (*push)(lua_State *L, void *data), void *data, bool *alive);
/* Abandons: the await is cancelled, `done` comes with TASK_CANCELLED before this returns; when called by the task's
   own script (through a C function), right after that resume. */
void task_cancel(task_t *task);
/* From ops->leave: the task ends with TASK_ERROR and this text (copied), whatever its script made of it. */
void task_break(task_t *task, const char *text);
/* The outermost task above this one, itself unless it is a child of wait_all. */
task_t *task_root(task_t *task);
/* The task that runs in the VM of L now (also in a coroutine its script made), NULL outside of one. */
task_t *task_of(lua_State *L);
void *task_user(const task_t *task);
vm_t *task_vm(const task_t *task);
const char *task_request_id(const task_t *task);
uint64_t task_deadline(const task_t *task);
/* Nanoseconds this task spent waiting for operations whose name starts with role ("sqlite."), for the log line. */
uint64_t task_waited_ns(const task_t *task, const char *prefix);
/* False when budget_waits are used up: the next wait will be refused. */
bool task_waits_left(const task_t *task);
/* True when a wait was refused because budget_waits were used up. */
bool task_waits_spent(const task_t *task);
void *task_slot(const task_t *task);
const task_ops_t *task_get_ops(const task_t *task);

/* Something that must not outlive the request or job it was acquired for, such as a transaction. It is bound to the
   outermost task above L's, which task_bind answers: `ended` comes once, when that task ends in whatever way, before
   its `done`; it must run no Lua and start no task. The caller owns the memory, and clears it with task_unbind if that
   comes first. */
typedef struct task_bond {
    list_t node;
    void (*ended)(struct task_bond *bond);
} task_bond_t;
task_t *task_bind(lua_State *L, task_bond_t *bond);
static inline void task_unbind(task_bond_t *bond) {
    list_remove(&bond->node);
}

/* For await.c. The sentence why L may not wait here, NULL when it may; then *task is who waits, and one wait is
   counted. */
const char *task_refuses(lua_State *L, task_t **task);
/* The coroutine yields next, and waits for this. */
void task_parked(task_t *task, await_t *await);
/* The wait is over: it is charged to `name`, nresults values are moved from the top of the VM's main stack, and the
   script runs on. */
void task_wake(task_t *task, const char *name, uint64_t waited_ns, int nresults);
/* There was no memory for the results of a wait. */
void task_starve(task_t *task);
/* For vm.c: frees the coroutines kept for reuse. */
void task_drop_idle(vm_t *vm);

/* The functions wait_all, sleep and the json, log modules of a trusted VM, set as globals/loaded modules by
   vm_new_trusted. */
int luaopen_wait(lua_State *L);
/* wait_all itself, for VMs that offer it under another name. */
int wait_all(lua_State *L);
int luaopen_json(lua_State *L);
int luaopen_log(lua_State *L);

#endif
