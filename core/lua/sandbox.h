/* sandbox.h: a tenant's VM: allow-listed libraries, budgets that cannot be caught, fresh globals per call. */
#ifndef PERIGEE_LUA_SANDBOX_H
#define PERIGEE_LUA_SANDBOX_H
#include "lua/task.h"
#include "lua/value.h"

typedef struct sandbox_limits {
    uint64_t time_ms;      /* of one begin…end or of one resume: 10 */
    uint64_t instructions; /* of one begin…end: 10,000,000 */
    size_t memory;         /* alive: 4 MB */
    uint64_t allocated;    /* ever, of one begin…end: 64 MB */
    size_t source;         /* of one file: 64 KB */
} sandbox_limits_t;
void sandbox_limits_default(sandbox_limits_t *limits);

typedef struct sandbox_usage {
    uint64_t instructions, nanoseconds, allocated;
    size_t memory;
} sandbox_usage_t;

typedef struct sandbox sandbox_t;
/* A VM without a script. `tail` receives the script's log(...) lines (at most 512 bytes, rate-limited); may be NULL.
   NULL when out of memory. */
sandbox_t *sandbox_new(loop_t *loop, const sandbox_limits_t *limits,
    void (*tail)(void *data, span_t line), void *data);
void sandbox_delete(sandbox_t *sandbox);
vm_t *sandbox_vm(sandbox_t *sandbox);
/* True after out-of-memory or a nearly full heap: the owner must build another one off the request path. */
bool sandbox_spent(const sandbox_t *sandbox);

/* Tables that fill themselves on first use: when the metatable of a table holds a C function as "__fill",
   pairs, next and rawget call it with the table before they look, so that they see all fields. Give such a
   metatable `__metatable = false`. */

typedef struct sandbox_fault {
    int err; /* ERR_BUDGET_TIME, ERR_FORBIDDEN, ERR_SYNTAX, ERR_RULE_ERROR, ERR_BAD_RESULT, … */
    char file[96];  /* "pricing.lua" */
    int line;       /* 0 when unknown */
    char text[240]; /* a plain sentence, without file and line */
} sandbox_fault_t;

/* Compiles text only (no bytecode, no '#' first line); keeps the function under *ref. 0 or fault filled. */
int sandbox_load(
    sandbox_t *sandbox, span_t text, const char *file, int *ref, sandbox_fault_t *fault);
/* One budget for everything between begin and end. seed starts math.random. */
void sandbox_begin(sandbox_t *sandbox, uint64_t seed);
/* Runs the chunk `ref` afresh in a new environment, then calls what it returned: push puts nargs arguments
   (protected, hooked), take reads the result at the top of the stack (protected, hooked, raw access only) and
   returns 0 or fills fault->text and returns an error. 0 or fault filled. With push NULL nothing is called: take
   reads what the chunk itself returned. */
int sandbox_call(sandbox_t *sandbox, int ref, int (*push)(lua_State *L, void *data),
    int (*take)(lua_State *L, void *data, sandbox_fault_t *fault), void *data,
    sandbox_fault_t *fault);
/* Ends the budget; usage may be NULL. Collects garbage when the heap has grown. */
void sandbox_end(sandbox_t *sandbox, sandbox_usage_t *usage);

/* For routes.lua: runs the chunk afresh and keeps the function at result[route] as a task whose resumes are
   budgeted (time and instructions summed over all resumes). `options->user` must differ between the routes
   under way; `push` puts the arguments. As task_start; NULL and fault when it cannot start. */
task_t *sandbox_start(sandbox_t *sandbox, int ref, const char *route, const task_options_t *options,
    int (*push)(lua_State *L, void *data), void *data, bool *alive, sandbox_fault_t *fault);
/* The fault of a task that ended with TASK_ERROR, from its done callback. */
void sandbox_task_fault(task_t *task, const char *error, sandbox_fault_t *fault);

#endif
