/* await.h: the one door through which a script waits: begin, park, finish, cancel. */
#ifndef PERIGEE_LUA_AWAIT_H
#define PERIGEE_LUA_AWAIT_H
#include <lua.h>
#include <stdint.h>
#include "base/loop.h"

/* Every operation that a script can wait for embeds one await_t. Its life:

     static int l_get(lua_State *L) {
         … check all arguments …                       (raises before anything exists)
         op_t *op = op_new(…);
         await_begin(L, &op->await, &OPS, timeout_ms);  (raises when L may not yield; then release has been called)
         driver_get(…, op);                             (on a refusal: await_fail(&op->await, err, detail))
         return await_park(L, &op->await);
     }

   The driver calls await_finish exactly once for each operation that has begun: at once, later, and also after
   `cancel`. `release` is called exactly once, and after await_finish: the op is the driver's until then. */
typedef struct await await_t;
typedef struct await_ops {
    /* Pushes at most 16 results on L, some stack of the VM that waited, and returns how many. Runs protected; what
       it raises becomes nil, text, "internal" (or "no_memory") for the script. Must not run Lua functions. */
    int (*push)(await_t *await, lua_State *L);
    /* Nobody wants the result any more (the client left, or the deadline passed): let go as soon as the driver can,
       and call await_finish then. Called at most once, and not after await_finish. May call await_finish itself.
       Must not touch the VM, which may be gone before the driver finishes. */
    void (*cancel)(await_t *await);
    /* Frees the operation. The VM may be gone when the wait was abandoned. */
    void (*release)(await_t *await);
    const char *name; /* "sqlite.query", for tracebacks and the time per role in the log */
} await_ops_t;

typedef struct task task_t;
struct await {
    const await_ops_t *ops;
    task_t *task; /* who waits; NULL once it is abandoned */
    loop_t *loop;
    deadline_t deadline;
    deferred_t wake;
    uint64_t began_ns;
    int state; /* the await room's */
    int err; /* set by await_fail or the deadline: nil, text, name is pushed instead of ops->push */
    char detail[120];
};

/* As a timeout: no deadline at all, for operations that end by themselves when the task's own deadline has passed. */
#define AWAIT_NO_DEADLINE UINT64_MAX

/* Begins: asks whether L may yield, takes the deadline (the earlier of now + timeout_ms and the task's own;
   timeout_ms 0 means the task's own). Raises a Lua error, after calling release, when L may not wait here (outside
   of a task, in a callback of a C function such as table.sort, in a coroutine of the script's own), when the task's
   deadline has passed, or when its waits are used up. Between begin and park nothing may raise. */
void await_begin(lua_State *L, await_t *await, const await_ops_t *ops, uint64_t timeout_ms);
/* The last statement of the C function. Yields, or pushes the results at once when it is finished already. */
int await_park(lua_State *L, await_t *await);
/* From the loop, any turn, also inside the call that started it. The script resumes on a later point of the loop,
   never inside this call. */
void await_finish(await_t *await);
/* The same with an error instead of a result. detail may be NULL (the error's sentence is used) and is copied. */
void await_fail(await_t *await, int err, const char *detail);
/* Milliseconds until the await's deadline, for drivers that pass one on; at least 1. */
uint64_t await_left(const await_t *await);
/* Pushes nil, text, name for an error; returns 3. May raise when out of memory. */
int await_push_error(lua_State *L, int err, const char *detail);
/* For task.c: the task that waits is ending. Cancels the operation, or releases it when it has finished already. */
void await_abandon(await_t *await);

#endif
