/* holder.c: waits for a connection of a pool, and gives it back whatever becomes of the script that has it. */
#include "lua/holder.h"
#include <stdlib.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/native.h"

typedef struct op {
    await_t await;
    await_ops_t ops;  /* with the holder's name */
    holder_t *holder; /* until a script has it */
} op_t;

/* Who is cancelled cannot close it, and the collector may take its time. */
static void on_task_ended(task_bond_t *bond) {
    holder_end(LIST_OWNER(bond, holder_t, bond), false);
}

void holder_create(holder_t *holder, const holder_ops_t *ops, void *engine) {
    holder->ops = ops;
    holder->engine = engine;
    holder->refs = 1;
    holder->bond.ended = on_task_ended;
    list_init(&holder->bond.node);
}

void holder_drop(holder_t *holder) {
    if (!holder || --holder->refs) return;
    holder_end(holder, false);
    free(holder);
}

void holder_end(holder_t *holder, bool clean) {
    task_unbind(&holder->bond);
    holder->task = NULL;
    if (holder->ops->ending) holder->ops->ending(holder);
    if (holder->held) lease_end(&holder->lease, clean);
    holder->held = false;
}

/* The wait */

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static void on_got(lease_t *lease) {
    op_t *op = lease->data;
    if (lease->err)
        await_fail(&op->await, lease->err, lease->detail);
    else
        await_finish(&op->await);
}

static int push(await_t *await, lua_State *L) {
    op_t *op = op_of(await);
    holder_t **box = native_push(L, op->holder->ops->kind);
    *box = op->holder;
    op->holder = NULL;
    return 1;
}

static void cancel(await_t *await) {
    holder_end(op_of(await)->holder, false);
    await_finish(await);
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    holder_drop(op->holder);
    free(op);
}

static int begin(lua_State *L, holder_t *holder, op_t *op) {
    holder->lease.got = on_got;
    holder->lease.data = op;
    int err = holder->ops->begin(holder);
    if (err) return err;
    holder->held = true;
    holder->task = task_bind(L, &holder->bond);
    return 0;
}

int holder_wait(lua_State *L, holder_t *holder) {
    op_t *op = calloc(1, sizeof *op);
    if (!op) {
        holder_drop(holder);
        return await_push_error(L, ERR_NO_MEMORY, NULL);
    }
    op->holder = holder;
    op->ops = (await_ops_t){push, cancel, release, holder->ops->name};
    await_begin(L, &op->await, &op->ops, 0);
    int err = begin(L, holder, op);
    if (err) await_fail(&op->await, err, holder->lease.detail);
    return await_park(L, &op->await);
}

/* The handle */

static holder_t **check_box(lua_State *L, const char *kind) {
    return luaL_checkudata(L, 1, kind);
}

holder_t *holder_at(lua_State *L, const char *kind) {
    return *check_box(L, kind);
}

holder_t *holder_check(lua_State *L, const char *kind) {
    holder_t *holder = holder_at(L, kind);
    if (!holder || !holder->held) luaL_error(L, "the connection has been given back");
    return holder;
}

int holder_close(lua_State *L, const char *kind) {
    holder_t **box = check_box(L, kind);
    holder_t *holder = *box;
    *box = NULL;
    if (!holder) return 0;
    holder_end(holder, lua_toboolean(L, 2));
    holder_drop(holder);
    return 0;
}
