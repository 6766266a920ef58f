/* copy_lua.c: writes a script's texts and rows into a COPY, as fast as the server takes them. */
#include "postgres/copy_lua.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/native.h"
#include "postgres/failure.h"
#include "postgres/query_lua.h"
#include "postgres/statements.h"

#define COPY "perigee.postgres.copy"
#define FIELDS_MOST 1600 /* the server's columns */

typedef enum { TILL_READY, TILL_ROOM, TILL_DONE, TILL_FAILED } goal_t;
typedef struct op op_t;

/* Counted: the script's handle, who waits, and the driver until the end. One that no script got ends with the lease. */
typedef struct copy {
    int refs;
    leased_t *leased;
    statements_t statements;
    postgres_copy_t copy;
    bool room;  /* the server takes data */
    bool ended; /* the driver has done with it */
    bool over;  /* postgres_copy_end was called */
    failure_t failure;
    op_t *next; /* who waits */
    buf_t line, field;
} copy_t;

struct op {
    await_t await;
    copy_t *copy;
    goal_t goal;
};

static void copy_unref(copy_t *copy) {
    if (--copy->refs) return;
    statements_destroy(&copy->statements);
    buf_destroy(&copy->line);
    buf_destroy(&copy->field);
    leased_drop(copy->leased);
    free(copy);
}

static copy_t *copy_new(leased_t *leased) {
    copy_t *copy = calloc(1, sizeof *copy);
    if (!copy) return NULL;
    copy->refs = 1;
    copy->leased = leased_ref(leased);
    statements_create(&copy->statements);
    buf_create(&copy->line);
    buf_create(&copy->field);
    return copy;
}

static void wake(copy_t *copy) {
    op_t *op = copy->next;
    copy->next = NULL;
    if (op) await_finish(&op->await);
}

static void on_ready(postgres_copy_t *driver) {
    copy_t *copy = driver->user;
    copy->room = true;
    if (copy->next && copy->next->goal <= TILL_ROOM) wake(copy);
}

static void on_done(postgres_copy_t *driver) {
    copy_t *copy = driver->user;
    copy->ended = true;
    if (driver->err) failure_of_copy(&copy->failure, driver);
    leased_done(copy->leased);
    wake(copy);
    copy_unref(copy);
}

static void end_once(copy_t *copy, const char *fault) {
    if (copy->over || copy->ended) return;
    copy->over = true;
    postgres_copy_end(&copy->copy, fault);
}

/* The wait */

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static void push_handle(lua_State *L, copy_t *copy) {
    copy_t **box = native_push(L, COPY);
    copy->refs++;
    *box = copy;
}

static int push_state(lua_State *L, copy_t *copy, goal_t goal) {
    if (copy->failure.err && goal != TILL_FAILED) return failure_push(L, &copy->failure);
    if (goal == TILL_READY)
        push_handle(L, copy);
    else if (goal == TILL_DONE)
        lua_pushnumber(L, (lua_Number)copy->copy.rows);
    else
        lua_pushboolean(L, true);
    return 1;
}

static int push(await_t *await, lua_State *L) {
    op_t *op = op_of(await);
    return push_state(L, op->copy, op->goal);
}

static void cancel(await_t *await) {
    op_of(await)->copy->next = NULL;
    await_finish(await);
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    copy_unref(op->copy);
    free(op);
}

static const await_ops_t WAIT = {push, cancel, release, "postgres.copy"};

/* Takes over a reference to the copy. NULL when out of memory or, after a Lua error, not at all. */
static op_t *op_new(copy_t *copy, goal_t goal) {
    op_t *op = calloc(1, sizeof *op);
    if (!op) {
        copy_unref(copy);
        return NULL;
    }
    op->copy = copy;
    op->goal = goal;
    return op;
}

static int wait(lua_State *L, copy_t *copy, goal_t goal) {
    copy->refs++;
    op_t *op = op_new(copy, goal);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    await_begin(L, &op->await, &WAIT, 0);
    copy->next = op;
    return await_park(L, &op->await);
}

static void start(copy_t *copy, uint64_t deadline_ms) {
    postgres_copy_t *driver = &copy->copy;
    driver->sql = statements_all(&copy->statements)->sql;
    driver->deadline_ms = deadline_ms;
    driver->ready = on_ready;
    driver->done = on_done;
    driver->user = copy;
    int err = leased_copy(copy->leased, driver);
    if (!err) {
        copy->refs++;
        return;
    }
    failure_set(&copy->failure, err, driver->detail);
    copy->ended = true;
    wake(copy);
}

static int refuse(lua_State *L, copy_t *copy, int err) {
    char why[200];
    snprintf(why, sizeof why, "%s", copy->statements.fault.why);
    copy_unref(copy);
    return err == ERR_INVALID ? luaL_error(L, "%s", why) : await_push_error(L, err, NULL);
}

int copy_lua_in(lua_State *L, leased_t *leased, int first) {
    query_options_t options;
    query_options_check(L, first, &options);
    lua_settop(L, first + 1);
    copy_t *copy = copy_new(leased);
    if (!copy) return await_push_error(L, ERR_NO_MEMORY, NULL);
    int err = statements_add(&copy->statements, L, first + 1);
    if (!err) err = statements_end(&copy->statements);
    if (err) return refuse(L, copy, err);
    op_t *op = op_new(copy, TILL_READY);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    await_begin(L, &op->await, &WAIT, 0);
    copy->next = op;
    start(copy, query_options_deadline(&options, op->await.loop));
    return await_park(L, &op->await);
}

/* The methods */

static copy_t *check_copy(lua_State *L) {
    copy_t *copy = *(copy_t **)luaL_checkudata(L, 1, COPY);
    if (copy->next) luaL_error(L, "something waits for this COPY already");
    return copy;
}

static int put(lua_State *L, copy_t *copy, span_t bytes) {
    if (copy->over) luaL_error(L, "the COPY is finished");
    if (copy->ended) return failure_push(L, &copy->failure);
    if (!copy->room) return await_push_error(L, ERR_BUSY, "the server takes no more data yet");
    if (bytes.len) copy->room = postgres_copy_write(&copy->copy, bytes);
    if (!copy->room) return wait(L, copy, TILL_ROOM);
    lua_pushboolean(L, true);
    return 1;
}

static int l_write(lua_State *L) {
    span_t bytes;
    copy_t *copy = check_copy(L);
    bytes.ptr = luaL_checklstring(L, 2, &bytes.len);
    return put(L, copy, bytes);
}

/* The letter that stands for a character behind a backslash; 0 for one that needs none. */
static char escape_of(char c) {
    switch (c) {
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return '\0';
    }
}

static void put_text(buf_t *line, span_t text) {
    for (size_t i = 0; i < text.len; i++) {
        char letter = escape_of(text.ptr[i]);
        if (letter) buf_char(line, '\\');
        buf_char(line, letter ? letter : text.ptr[i]);
    }
}

static void put_bytes(buf_t *line, span_t bytes) {
    buf_text(line, "\\\\x");
    for (size_t i = 0; i < bytes.len; i++)
        buf_printf(line, "%02x", (unsigned char)bytes.ptr[i]);
}

/* The value on top of the stack. */
static int put_field(copy_t *copy, lua_State *L, fault_t *fault) {
    param_kind_t kind;
    buf_reset(&copy->field);
    int err = param_write(L, lua_gettop(L), &copy->field, &kind, fault);
    if (err) return err;
    if (kind == PARAM_NULL)
        buf_text(&copy->line, "\\N");
    else if (kind == PARAM_BYTES)
        put_bytes(&copy->line, buf_view(&copy->field));
    else
        put_text(&copy->line, buf_view(&copy->field));
    return 0;
}

/* row { value, … }: values as parameters are. */
static int l_row(lua_State *L) {
    copy_t *copy = check_copy(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    int count = (int)lua_objlen(L, 2);
    luaL_argcheck(L, count > 0 && count <= FIELDS_MOST, 2, "a list of values expected");
    buf_reset(&copy->line);
    for (int i = 1; i <= count; i++) {
        fault_t fault;
        if (i > 1) buf_char(&copy->line, '\t');
        lua_rawgeti(L, 2, i);
        if (put_field(copy, L, &fault)) luaL_error(L, "value %d is %s", i, fault.why);
        lua_pop(L, 1);
    }
    buf_char(&copy->line, '\n');
    if (copy->line.failed) return await_push_error(L, ERR_NO_MEMORY, NULL);
    return put(L, copy, buf_view(&copy->line));
}

static int end(lua_State *L, goal_t goal, const char *fault) {
    copy_t *copy = check_copy(L);
    end_once(copy, fault);
    return copy->ended ? push_state(L, copy, goal) : wait(L, copy, goal);
}

static int l_finish(lua_State *L) {
    return end(L, TILL_DONE, NULL);
}

static int l_fail(lua_State *L) {
    return end(L, TILL_FAILED, luaL_checkstring(L, 2));
}

static int l_gc(lua_State *L) {
    copy_t **box = luaL_checkudata(L, 1, COPY);
    copy_t *copy = *box;
    *box = NULL;
    if (!copy) return 0;
    end_once(copy, "the script left it");
    copy_unref(copy);
    return 0;
}

void copy_lua_open(lua_State *L) {
    static const luaL_Reg METHODS[] = {
        {"write", l_write}, {"row", l_row}, {"finish", l_finish}, {"fail", l_fail}, {NULL, NULL}};
    native_kind(L, COPY, METHODS, l_gc);
}
