/* call_lua.c: copies a script's commands, submits them together, and finishes the wait with the last answer. */
#include "redis/call_lua.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/decimal.h"
#include "redis/redis_value.h"
#include "redis/verbs.h"

#define COMMANDS_MOST 5000
#define ARGUMENTS_MOST 100000
#define NUMBER_ROOM 32

/* The commands, their arguments and the arguments' texts lie behind it in one piece of memory: the script's own texts
   may be collected meanwhile. */
typedef struct op {
    await_t await;
    int count, left, failed;
    bool many;
    buf_t values; /* the answers in the order they came */
    size_t *at;   /* where each command's answer is in there */
    redis_command_t commands[];
} op_t;

/* What the commands are made of: either the stack from `first` on, or the list of lists. */
typedef struct source {
    lua_State *L;
    int first, list;
    int count;
    int arguments; /* of all commands */
    size_t bytes;
} source_t;

/* The wait */

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static int push_one(await_t *await, lua_State *L) {
    op_t *op = op_of(await);
    size_t at = op->at[0];
    return redis_value_results(L, &op->values, &at);
}

static int push_many(await_t *await, lua_State *L) {
    op_t *op = op_of(await);
    lua_createtable(L, op->count, 0);
    for (int i = 0; i < op->count; i++) {
        size_t at = op->at[i];
        redis_value_push(L, &op->values, &at);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static void cancel(await_t *await) {
    op_t *op = op_of(await);
    for (int i = 0; i < op->count; i++)
        redis_cancel(&op->commands[i]);
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    buf_destroy(&op->values);
    free(op);
}

static const await_ops_t CALL = {push_one, cancel, release, "redis.call"};
static const await_ops_t PIPELINE = {push_many, cancel, release, "redis.pipeline"};

static void keep_failure(op_t *op, int index, int err, const char *detail) {
    op->at[index] = op->values.len;
    op->failed++;
    redis_value_pack_error(&op->values, err, detail[0] ? detail : err_text(err));
}

static void finish(op_t *op) {
    const redis_command_t *last = &op->commands[op->count - 1];
    if (op->values.failed)
        await_fail(&op->await, ERR_NO_MEMORY, NULL);
    else if (op->count > 0 && op->failed == op->count)
        await_fail(&op->await, last->err, last->detail);
    else
        await_finish(&op->await);
}

static void on_done(redis_command_t *command) {
    op_t *op = command->data;
    int index = (int)(command - op->commands);
    if (command->err) {
        keep_failure(op, index, command->err, command->detail);
    } else {
        op->at[index] = op->values.len;
        int err =
            redis_value_pack(&op->values, command->reply, verb_shape(command->argv, command->argc));
        if (err) redis_value_pack_error(&op->values, err, err_text(err));
    }
    if (--op->left == 0) finish(op);
}

/* Checking: may raise, nothing is acquired yet */

/* Bytes that the value on top of the stack takes as an argument. */
static size_t measure(lua_State *L, int number) {
    span_t text;
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        return lua_objlen(L, -1);
    case LUA_TNUMBER:
        if (isnan(lua_tonumber(L, -1))) luaL_error(L, "argument %d is not a number", number);
        return NUMBER_ROOM;
    default:
        if (decimal_at(L, -1, &text)) return text.len;
        return (size_t)luaL_error(
            L, "argument %d is a %s; Redis takes texts and numbers", number, luaL_typename(L, -1));
    }
}

static void measure_top(source_t *source, int number) {
    source->bytes += measure(source->L, number);
    lua_pop(source->L, 1);
}

static void check_one(source_t *source) {
    lua_State *L = source->L;
    source->count = 1;
    source->arguments = lua_gettop(L) - source->first + 1;
    luaL_argcheck(L, source->arguments > 0 && lua_type(L, source->first) == LUA_TSTRING,
        source->first, "the name of a command expected");
    luaL_checkstack(L, 4, NULL);
    for (int i = 0; i < source->arguments; i++) {
        lua_pushvalue(L, source->first + i);
        measure_top(source, i);
    }
}

/* The command's table is on top. */
static void check_item(source_t *source, int index) {
    lua_State *L = source->L;
    if (!lua_istable(L, -1)) luaL_error(L, "command %d is not a table", index);
    int arguments = (int)lua_objlen(L, -1);
    if (arguments == 0) luaL_error(L, "command %d is empty", index);
    for (int i = 1; i <= arguments; i++) {
        lua_rawgeti(L, -1, i);
        measure_top(source, i - 1);
    }
    source->arguments += arguments;
    if (source->arguments > ARGUMENTS_MOST) luaL_error(L, "too many arguments");
}

static void check_many(source_t *source) {
    lua_State *L = source->L;
    luaL_checktype(L, source->list, LUA_TTABLE);
    luaL_checkstack(L, 4, NULL);
    luaL_argcheck(
        L, lua_objlen(L, source->list) <= COMMANDS_MOST, source->list, "too many commands");
    source->count = (int)lua_objlen(L, source->list);
    for (int i = 1; i <= source->count; i++) {
        lua_rawgeti(L, source->list, i);
        check_item(source, i);
        lua_pop(L, 1);
    }
}

/* Copying: raises nothing */

/* Where the next argument and its text go. */
typedef struct room {
    span_t *span;
    char *text;
} room_t;

static size_t number_text(lua_Number number, char *out) {
    if (isinf(number)) return (size_t)snprintf(out, NUMBER_ROOM, number > 0 ? "inf" : "-inf");
    bool whole = number == floor(number) && fabs(number) <= 9007199254740992.0;
    return (size_t)snprintf(out, NUMBER_ROOM, whole ? "%.0f" : "%.17g", number);
}

/* Takes the value from the top of the stack. */
static void copy_top(lua_State *L, room_t *room) {
    span_t text = {NULL, 0};
    size_t len;
    if (lua_type(L, -1) == LUA_TNUMBER) {
        len = number_text(lua_tonumber(L, -1), room->text);
    } else {
        if (lua_type(L, -1) == LUA_TSTRING)
            text.ptr = lua_tolstring(L, -1, &text.len);
        else
            decimal_at(L, -1, &text);
        len = text.len;
        if (len) memcpy(room->text, text.ptr, len);
    }
    *room->span++ = (span_t){room->text, len};
    room->text += len;
    lua_pop(L, 1);
}

static void fill(op_t *op, int index, const redis_target_t *target, span_t *argv, int argc) {
    unsigned flags = verb_flags(argv[0]);
    redis_command_t *command = &op->commands[index];
    command->argv = argv;
    command->argc = argc;
    command->key = verb_key(argv, argc);
    command->repeatable = flags & VERB_READS;
    command->replica = target->replica && flags & VERB_READS;
    command->done = on_done;
    command->data = op;
}

static void copy_one(op_t *op, const source_t *source, const redis_target_t *target, room_t room) {
    span_t *argv = room.span;
    for (int i = 0; i < source->arguments; i++) {
        lua_pushvalue(source->L, source->first + i);
        copy_top(source->L, &room);
    }
    fill(op, 0, target, argv, source->arguments);
}

static void copy_many(op_t *op, const source_t *source, const redis_target_t *target, room_t room) {
    lua_State *L = source->L;
    for (int i = 0; i < source->count; i++) {
        span_t *argv = room.span;
        lua_rawgeti(L, source->list, i + 1);
        int argc = (int)lua_objlen(L, -1);
        for (int k = 1; k <= argc; k++) {
            lua_rawgeti(L, -1, k);
            copy_top(L, &room);
        }
        lua_pop(L, 1);
        fill(op, i, target, argv, argc);
    }
}

/* NULL when out of memory. */
static op_t *op_new(const source_t *source, room_t *room) {
    size_t commands = (size_t)source->count * sizeof(redis_command_t);
    size_t places = ((size_t)source->count + 1) * sizeof(size_t);
    size_t spans = (size_t)source->arguments * sizeof(span_t);
    op_t *op = malloc(sizeof *op + commands + places + spans + source->bytes);
    if (!op) return NULL;
    memset(op, 0, sizeof *op + commands);
    op->count = source->count;
    op->at = (size_t *)(op->commands + source->count);
    room->span = (span_t *)((char *)op->at + places);
    room->text = (char *)room->span + spans;
    buf_create(&op->values);
    return op;
}

static void submit(op_t *op, const redis_target_t *target) {
    op->left = op->count + 1; /* one for this function, which may not see the end before its own */
    for (int i = 0; i < op->count; i++) {
        redis_command_t *command = &op->commands[i];
        if (target->wait_ms) command->deadline_ms = loop_now(op->await.loop) + target->wait_ms;
        int err = target->lease ? redis_lease_submit(target->lease, command)
                                : redis_submit(target->redis, command);
        if (!err) continue;
        command->err = err;
        keep_failure(op, i, err, command->detail);
        op->left--;
    }
    if (--op->left == 0) finish(op);
}

int call_lua_one(lua_State *L, const redis_target_t *target, int first) {
    source_t source = {.L = L, .first = first};
    room_t room;
    check_one(&source);
    op_t *op = op_new(&source, &room);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    copy_one(op, &source, target, room);
    await_begin(L, &op->await, &CALL, 0);
    submit(op, target);
    return await_park(L, &op->await);
}

int call_lua_many(lua_State *L, const redis_target_t *target, int list) {
    source_t source = {.L = L, .list = list};
    room_t room;
    check_many(&source);
    op_t *op = op_new(&source, &room);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    copy_many(op, &source, target, room);
    await_begin(L, &op->await, &PIPELINE, 0);
    submit(op, target);
    return await_park(L, &op->await);
}
