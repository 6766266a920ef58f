/* budget.h: what one stretch of a tenant's code may spend: instructions, time and bytes, none of which pcall
   can regain. */
#ifndef PERIGEE_LUA_BUDGET_H
#define PERIGEE_LUA_BUDGET_H
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* The clocks that budgets read; a test puts its own here. All in nanoseconds. */
typedef struct budget_clocks {
    uint64_t (*coarse)(void);  /* 3 ns a look, up to 4 ms behind */
    uint64_t (*precise)(void); /* 23 ns a look */
    uint64_t (*cpu)(void);     /* of this thread; a system call */
} budget_clocks_t;
extern budget_clocks_t budget_clocks;
/* The clock of everything that is charged to a tenant. */
uint64_t budget_clock_ns(void);

typedef struct budget {
    uint64_t time_ns, instructions_max, allocated_max;
    uint64_t instructions;   /* spent: bytecodes, and the work of C functions in the same unit */
    uint64_t wall_ns;        /* of finished stretches */
    uint64_t allocated;      /* of finished stretches */
    uint64_t start_ns;       /* of this stretch */
    uint64_t start_charged;  /* the VM's counter at the start of this stretch */
    uint64_t looked_charged; /* the VM's counter at the last precise look */
    uint64_t half_ns;        /* when the second half began */
    uint64_t cpu_start, cpu_ns, cpu_looked_ns;
    uint32_t work; /* units of C functions since the last precise look */
    bool
        second; /* the first half of the time, by the wall clock, is gone: the thread's own clock counts now */
    int err;  /* why it is over; stays */
    int line; /* where it ended, 0 when unknown */
    char file[96];
} budget_t;

struct sandbox;
struct sandbox_limits;
void budget_create(budget_t *budget, const struct sandbox_limits *limits);
/* Puts the budget in force for the sandbox's VM and starts its clocks; and the other way round. A budget may be
   entered and left often: what was spent adds up, the time between is free. Errors jump past every decrement,
   so enter also resets the depths. */
void budget_enter(struct sandbox *sandbox, budget_t *budget);
void budget_leave(struct sandbox *sandbox);
/* Compares what was spent with the maxima: 0 or the error, which then stays. `charged` is the VM's counter of
   bytes. */
int budget_check(budget_t *budget, uint64_t charged, bool precise);

/* For C functions a tenant can call. `units` of work, each about one bytecode's worth; looks at the clock every
   few thousand. Raises when the budget is gone. */
void budget_work(lua_State *L, size_t units);
/* Ends the budget for good and raises. */
int budget_expire(lua_State *L, int err);
/* Raises again what ended the budget. */
int budget_raise(lua_State *L);
/* The allocator saw a string or table so large that a single bytecode on it is slow: the hook comes more often
   from now on. */
void budget_tighten(struct sandbox *sandbox);

#endif
