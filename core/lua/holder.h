/* holder.h: a connection of a pool in a script's hands; goes back with the script's request at the latest. */
#ifndef PERIGEE_LUA_HOLDER_H
#define PERIGEE_LUA_HOLDER_H
#include "base/pool.h"
#include "lua/task.h"

typedef struct holder holder_t;

typedef struct holder_ops {
    const char *
        kind; /* of the script's handle, see native_kind; its __gc is a function that calls holder_close */
    const char *name; /* "redis.connection", as await_ops_t's */
    /* lease_begin on holder->lease. */
    int (*begin)(holder_t *holder);
    /* The connection is about to go back, if it has not: lets go of what hangs on it. Runs no Lua. May be NULL. */
    void (*ending)(holder_t *holder);
} holder_ops_t;

/* First in what a binding has per handle, in memory of calloc's that the last reference frees: the script's handle has
   one, and each operation under way. */
struct holder {
    const holder_ops_t *ops;
    void *engine;
    lease_t lease;      /* tenant and key are the binding's to set */
    const task_t *task; /* the request; NULL once it has ended */
    bool held;          /* lease_begin has come and lease_end has not */

    /* The holder's. */
    task_bond_t bond;
    int refs;
};

/* With one reference. */
void holder_create(holder_t *holder, const holder_ops_t *ops, void *engine);
static inline void holder_ref(holder_t *holder) {
    holder->refs++;
}
/* NULL is none. */
void holder_drop(holder_t *holder);
/* Waits for the connection and answers its handle: the last statement of a C function. Takes over the reference. */
int holder_wait(lua_State *L, holder_t *holder);
/* Gives the connection back, as lease_end; again: no effect. */
void holder_end(holder_t *holder, bool clean);

/* For methods, whose handle is at 1. NULL: it has been closed. */
holder_t *holder_at(lua_State *L, const char *kind);
/* Raises when the connection has been given back. */
holder_t *holder_check(lua_State *L, const char *kind);
/* close(clean); for the collector it is not clean, as a script that lost it half way has left who knows what on it. */
int holder_close(lua_State *L, const char *kind);

#endif
