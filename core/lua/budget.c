/* budget.c: the count hook that ends a tenant's script: instructions, bytes, and time by three clocks. */
#include "lua/sandbox_own.h"
#include <stdio.h>
#include <time.h>

#define STEP 100            /* bytecodes between two hooks */
#define STEP_TIGHT 10       /* the same once something large exists */
#define LOOK_BYTES 65536    /* allocated bytes after which the precise clock is read */
#define LOOK_WORK 4096      /* units of C work after which it is */
#define CPU_EVERY_NS 500000 /* the thread's clock is a system call: read it no more often */
#define PAUSE_FROM ((size_t)1024 * 1024)
#ifdef PERIGEE_SANITIZE
#define TIME_FACTOR 8 /* the sanitizers' own cost is not the script's */
#else
#define TIME_FACTOR 1
#endif

static uint64_t read_clock(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t coarse(void) {
    return read_clock(CLOCK_MONOTONIC_COARSE);
}
static uint64_t precise(void) {
    return read_clock(CLOCK_MONOTONIC);
}
static uint64_t cpu(void) {
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

budget_clocks_t budget_clocks = {coarse, precise, cpu};

uint64_t budget_clock_ns(void) {
    return budget_clocks.precise();
}

void budget_create(budget_t *budget, const sandbox_limits_t *limits) {
    budget->time_ns = limits->time_ms * 1000000u * TIME_FACTOR;
    budget->instructions_max = limits->instructions;
    budget->allocated_max = limits->allocated;
    budget->instructions = budget->wall_ns = budget->allocated = 0;
    budget->start_ns = budget->start_charged = budget->looked_charged = 0;
    budget->half_ns = budget->cpu_start = budget->cpu_ns = 0;
    budget->cpu_looked_ns = 0;
    budget->work = 0;
    budget->second = false;
    budget->err = budget->line = 0;
    budget->file[0] = 0;
}

/* A coarse look may lie before a precise one. */
static uint64_t since(uint64_t now, uint64_t then) {
    return now > then ? now - then : 0;
}

/* The first half counts wall time, which is cheap to read. The second half counts this thread's own time: on a
   busy machine the wall clock also runs while somebody else does, and a sound rule would be refused for that.
   */
static bool over_time(budget_t *budget, uint64_t now) {
    uint64_t half = budget->time_ns / 2;
    if (!budget->second) {
        if (budget->wall_ns + since(now, budget->start_ns) < half) return false;
        budget->second = true;
        budget->half_ns = now;
        budget->cpu_start = budget_clocks.cpu();
        return half == 0;
    }
    if (budget->cpu_ns + since(now, budget->half_ns) < half) return false;
    if (since(now, budget->cpu_looked_ns) < CPU_EVERY_NS) return false;
    budget->cpu_looked_ns = now;
    return budget->cpu_ns + (budget_clocks.cpu() - budget->cpu_start) >= half;
}

int budget_check(budget_t *budget, uint64_t charged, bool precisely) {
    if (budget->err) return budget->err;
    uint64_t now = precisely ? budget_clocks.precise() : budget_clocks.coarse();
    if (budget->instructions > budget->instructions_max)
        budget->err = ERR_BUDGET_INSTRUCTIONS;
    else if (budget->allocated + (charged - budget->start_charged) > budget->allocated_max)
        budget->err = ERR_BUDGET_MEMORY;
    else if (over_time(budget, now))
        budget->err = ERR_BUDGET_TIME;
    return budget->err;
}

/* Remembers the innermost line of script, for the merchant. */
static void locate(lua_State *L, budget_t *budget) {
    lua_Debug at;
    for (int level = 0; level < 20 && lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        if (at.currentline <= 0) continue;
        budget->line = at.currentline;
        snprintf(budget->file, sizeof budget->file, "%s", at.short_src);
        return;
    }
}

static void on_count(lua_State *L, lua_Debug *at);

static void arm(sandbox_t *sandbox, int step) {
    sandbox->step = step;
    lua_sethook(sandbox->vm.L, on_count, LUA_MASKCOUNT, step);
}

int budget_raise(lua_State *L) {
    sandbox_t *sandbox = sandbox_of(L);
    budget_t *budget = sandbox->budget;
    if (!budget->line) locate(L, budget);
    if (sandbox->step != 1) arm(sandbox, 1);
    lua_pushstring(L, err_text(budget->err));
    return lua_error(L);
}

int budget_expire(lua_State *L, int err) {
    budget_t *budget = sandbox_of(L)->budget;
    if (!budget->err) budget->err = err;
    return budget_raise(L);
}

/* There is no emergency collection: near the limit the heap must not grow to twice what is alive. */
static void look(lua_State *L, sandbox_t *sandbox) {
    budget_t *budget = sandbox->budget;
    budget->looked_charged = sandbox->vm.charged;
    budget->work = 0;
    lua_gc(L, LUA_GCSETPAUSE, sandbox->vm.used > PAUSE_FROM ? 110 : 200);
    if (budget_check(budget, sandbox->vm.charged, true)) budget_raise(L);
}

static void on_count(lua_State *L, lua_Debug *at) {
    (void)at;
    sandbox_t *sandbox = sandbox_of(L);
    budget_t *budget = sandbox->budget;
    if (!budget) luaL_error(L, "no budget");
    budget->instructions += (uint64_t)sandbox->step;
    if (sandbox->vm.charged - budget->looked_charged >= LOOK_BYTES)
        look(L, sandbox);
    else if (budget_check(budget, sandbox->vm.charged, false))
        budget_raise(L);
}

void budget_work(lua_State *L, size_t units) {
    sandbox_t *sandbox = sandbox_of(L);
    budget_t *budget = sandbox->budget;
    if (!budget) return; /* while the VM is built */
    budget->instructions += units;
    budget->work += (uint32_t)(units < LOOK_WORK ? units : LOOK_WORK);
    if (budget->work >= LOOK_WORK || sandbox->vm.charged - budget->looked_charged >= LOOK_BYTES)
        look(L, sandbox);
}

void budget_tighten(sandbox_t *sandbox) {
    if (sandbox->tight || !sandbox->budget || sandbox->step <= STEP_TIGHT) return;
    sandbox->tight = true;
    arm(sandbox, STEP_TIGHT);
}

void budget_enter(sandbox_t *sandbox, budget_t *budget) {
    sandbox->budget = budget;
    sandbox->depth = sandbox->protects = 0;
    sandbox->tight = false;
    sandbox->lines = 0;
    budget->start_ns = budget_clocks.precise();
    budget->start_charged = budget->looked_charged = sandbox->vm.charged;
    if (budget->second) {
        budget->half_ns = budget->start_ns;
        budget->cpu_start = budget_clocks.cpu();
    }
    arm(sandbox, budget->err ? 1 : STEP);
}

void budget_leave(sandbox_t *sandbox) {
    budget_t *budget = sandbox->budget;
    budget->wall_ns += since(budget_clocks.precise(), budget->start_ns);
    budget->allocated += sandbox->vm.charged - budget->start_charged;
    if (budget->second) budget->cpu_ns += budget_clocks.cpu() - budget->cpu_start;
    sandbox->depth = sandbox->protects = 0;
    sandbox->budget = NULL;
}
