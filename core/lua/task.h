/* task.h: a coroutine with an owner and a deadline; holds the only lua_resume of the server. */
#ifndef PERIGEE_LUA_TASK_H
#define PERIGEE_LUA_TASK_H
#include "lua/await.h"
#include "lua/vm.h"

/* How it ended. On TASK_OK the results are the top nresults values of L and live until the callback returns. On
   TASK_ERROR `error` is a message with traceback across waits; TASK_CANCELLED after task_cancel; TASK_TIMEOUT when the deadline passed. */
typedef enum { TASK_OK, TASK_ERROR, TASK_CANCELLED, TASK_TIMEOUT, TASK_NO_MEMORY } task_end_t;
typedef struct task_ops {
    /* Exactly once per started task, also inside task_start when it never waits. */
    void (*done)(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error);
    /* Around every resume of a tenant's coroutine (budget); may be NULL. leave may turn the resume into an error. */
    void (*enter)(task_t *task);
    void (*leave)(task_t *task);
} task_ops_t;

typedef struct task_options {
    vm_t *vm;
    const task_ops_t *ops;
    void *user;
    uint64_t deadline_ms; /* loop time; 0 for none */
    const char *request_id; /* for tracebacks and log lines; alive as long as the task; may be NULL */
    int budget_waits;     /* most waits in all; 0 for no limit */
} task_options_t;

/* Starts fn: `push` puts the function and its arguments on the new coroutine (protected, may raise) and returns the
   number of arguments. Returns the task, which is already gone when `done` was called inside; use it only if
   *alive is set on return. NULL when out of memory (then done was not called). */
task_t *task_start(const task_options_t *options, int (*push)(lua_State *L, void *data), void *data,
    bool *alive);
/* Abandons: the await is cancelled, `done` comes with TASK_CANCELLED before this returns. */
void task_cancel(task_t *task);
/* The task that runs on L, NULL outside of one. */
task_t *task_of(lua_State *L);
void *task_user(const task_t *task);
vm_t *task_vm(const task_t *task);
const char *task_request_id(const task_t *task);
uint64_t task_deadline(const task_t *task);
/* Nanoseconds this task spent waiting for operations whose name starts with role ("sqlite."), for the log line. */
uint64_t task_waited_ns(const task_t *task, const char *prefix);

/* The functions wait_all, sleep and the json, log modules of a trusted VM, set as globals/loaded modules by vm_new_trusted. */
int luaopen_wait(lua_State *L);
int luaopen_json(lua_State *L);
int luaopen_log(lua_State *L);

#endif
