/* sandbox_own.h: the inside of a sandbox, for its own files: the struct, the libraries and what they share. */
#ifndef PERIGEE_LUA_SANDBOX_OWN_H
#define PERIGEE_LUA_SANDBOX_OWN_H
#include "base/err.h"
#include "lua/budget.h"
#include "lua/sandbox.h"

#define SANDBOX_STRING_MAX ((size_t)256 * 1024)
#define SANDBOX_UNPACK_MAX 4096 /* most values a C function returns */
#define SANDBOX_DEPTH_MAX 16    /* C functions that call back, inside one another */
#define SANDBOX_PCALL_MAX                                                                          \
    200 /* pcall inside pcall: each level is a C frame, and unwinding thousands takes long */
#define SANDBOX_SHARED_MAX 8

typedef struct sandbox_call {
    int ref;
    int (*push)(lua_State *L, void *data);
    int (*take)(lua_State *L, void *data, sandbox_fault_t *fault);
    void *data;
    sandbox_fault_t *fault;
    int err; /* what take answered, or ERR_BAD_RESULT */
    span_t text;
    const char *file;
} sandbox_call_t;

struct sandbox {
    vm_t vm; /* first: the allocator's data is this address */
    sandbox_limits_t limits;
    budget_t main;    /* of begin … end */
    budget_t *budget; /* in force; NULL while no script may run */
    int step;         /* bytecodes between two hooks */
    bool tight, spent;
    int depth, protects;
    uint64_t random[4];
    int named; /* the error of the last raise by sandbox_raise, and its text, so that the host can name it */
    char named_text[256];
    const void
        *shared[SANDBOX_SHARED_MAX]; /* the library tables scripts see: nobody may write to them */
    int nshared;
    int environment; /* reference of the metatable of every environment */
    size_t floor;    /* bytes alive after the last full collection */
    void (*tail)(void *data, span_t line);
    void *tail_data;
    unsigned lines; /* of this stretch */
    unsigned lines_second;
    uint64_t second_ns;
    list_t visits; /* routes under way */
};

static inline sandbox_t *sandbox_of(lua_State *L) {
    void *sandbox;
    lua_getallocf(L, &sandbox);
    return sandbox;
}

/* sandbox_env.c: builds the allow-list in an empty state; runs protected. */
void sandbox_env_open(lua_State *L);
/* Leaves a fresh, empty, read-only environment on the stack. */
void sandbox_env_push(lua_State *L);

/* sandbox.c: leaves what the chunk at ref returns on the stack; and names what a protected call left, 0 for
   nothing. */
void sandbox_run_chunk(lua_State *L, int ref);
int sandbox_finish_call(
    sandbox_t *sandbox, int status, sandbox_call_t *call, sandbox_fault_t *fault);

/* Between calls: decides whether the VM is spent, and collects when its heap has grown. */
void sandbox_tidy(sandbox_t *sandbox);

/* sandbox_fault.c */
void sandbox_fault_of(sandbox_t *sandbox, lua_State *L, int status, sandbox_fault_t *fault);
void sandbox_fault_budget(const budget_t *budget, sandbox_fault_t *fault);
void sandbox_fault_text(sandbox_t *sandbox, const char *error, sandbox_fault_t *fault);
void sandbox_fault_set(sandbox_fault_t *fault, int err, const char *file, const char *text);

/* lib_own.c: what the libraries share. */
/* Raises "file:line: text" under a name that the host will find again when nobody catches it. */
int sandbox_raise(lua_State *L, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Raises when the table at index belongs to everybody. */
void sandbox_check_own(lua_State *L, int index);
/* lua_call from C with the depth counted. */
void sandbox_callback(lua_State *L, int nargs, int nresults);
/* lua_gettable and lua_lessthan, which may run metamethods, the same way. */
void sandbox_gettable(lua_State *L, int index);
bool sandbox_lessthan(lua_State *L, int a, int b);
/* Fills a lazy table before its fields are walked. index is absolute. */
void sandbox_fill(lua_State *L, int index);
/* A whole argument, cut off at ±2^31; luaL_checkint converts NaN and large numbers as it likes. */
int64_t lib_int(lua_State *L, int arg);
int64_t lib_opt_int(lua_State *L, int arg, int64_t otherwise);
/* Pushes the argument as text, as tostring does: no addresses, __tostring within the depth. */
const char *lib_tostring(lua_State *L, int index, size_t *len);

/* A text that grows on the Lua heap, so that an error loses nothing; at most SANDBOX_STRING_MAX bytes. */
typedef struct text {
    lua_State *L;
    char *ptr;
    size_t len, cap;
    int slot; /* keeps the memory alive */
    char small[256];
} text_t;
/* Takes a stack slot, which text_push leaves holding the string, on the top. */
void text_open(text_t *text, lua_State *L);
char *text_reserve(text_t *text, size_t more);
void text_put(text_t *text, const char *bytes, size_t len);
void text_push(text_t *text);

/* Each fills the table on the top of the stack. */
void lib_base_open(lua_State *L);
void lib_pairs_open(lua_State *L);
void lib_string_open(lua_State *L);
void lib_match_open(lua_State *L);
void lib_format_open(lua_State *L);
void lib_table_open(lua_State *L);
void lib_math_open(lua_State *L);
void lib_bit_open(lua_State *L);
void lib_money_open(lua_State *L);
void lib_log_open(lua_State *L);
void lib_set(lua_State *L, const luaL_Reg *functions);
void lib_math_seed(sandbox_t *sandbox, uint64_t seed);
int lib_sort(lua_State *L); /* table.sort */

#endif
