/* stream_lua.c: keeps what comes until the script asks for it, and stops reading when the script is slow. */
#include "postgres/stream_lua.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/await.h"
#include "lua/native.h"
#include "postgres/failure.h"
#include "postgres/query_lua.h"
#include "postgres/rows.h"
#include "postgres/statements.h"

#define STREAM "perigee.postgres.stream"
#define AHEAD_BYTES ((size_t)256 << 10)
#define AHEAD_ROWS 1000
#define LONGEST_MS 3600000 /* without a deadline of the script's own */

typedef struct op op_t;

/* Counted: the script's handle, who waits, and the driver until the end. */
struct stream {
    int refs;
    leased_t *leased;
    bool copies; /* COPY: bytes instead of rows */
    bool ended;  /* the driver has nothing more */
    bool dropped, paused;
    rows_t rows;
    buf_t bytes;
    failure_t failure;
    op_t *next; /* who waits */
    statements_t statements;
    postgres_query_t query;
    postgres_copy_t copy;
};

struct op {
    await_t await;
    stream_t *stream;
};

static void stream_unref(stream_t *stream) {
    if (--stream->refs) return;
    rows_destroy(&stream->rows);
    buf_destroy(&stream->bytes);
    statements_destroy(&stream->statements);
    leased_drop(stream->leased);
    free(stream);
}

static stream_t *stream_new(leased_t *leased, bool copies) {
    stream_t *stream = calloc(1, sizeof *stream);
    if (!stream) return NULL;
    stream->refs = 1;
    stream->leased = leased_ref(leased);
    stream->copies = copies;
    rows_create(&stream->rows);
    buf_create(&stream->bytes);
    statements_create(&stream->statements);
    return stream;
}

/* What has come */

static size_t kept(const stream_t *stream) {
    return stream->copies ? stream->bytes.len : stream->rows.cells.len;
}

static void pause_reading(stream_t *stream, bool paused) {
    if (stream->paused == paused || stream->ended) return;
    stream->paused = paused;
    if (stream->leased->holder.held) postgres_lease_pause(&stream->leased->holder.lease, paused);
}

static void wake(stream_t *stream) {
    op_t *op = stream->next;
    stream->next = NULL;
    if (op) await_finish(&op->await);
}

/* Something was added, or could not be. */
static void added(stream_t *stream, int err) {
    if (err) {
        failure_set(&stream->failure, err, NULL);
        stream->dropped = true;
    } else if (kept(stream) >= AHEAD_BYTES || stream->rows.count >= AHEAD_ROWS) {
        pause_reading(stream, true);
    }
    wake(stream);
}

static void on_chunk(postgres_query_t *query, const PGresult *rows) {
    stream_t *stream = query->data;
    if (!stream->dropped) added(stream, rows_add(&stream->rows, rows));
}

static void on_bytes(postgres_copy_t *copy, span_t bytes) {
    stream_t *stream = copy->user;
    if (stream->dropped) return;
    buf_span(&stream->bytes, bytes);
    added(stream, stream->bytes.failed ? ERR_NO_MEMORY : 0);
}

static void on_end(stream_t *stream) {
    stream->ended = true;
    leased_done(stream->leased);
    if (stream->leased->rows == stream) stream->leased->rows = NULL;
    wake(stream);
    stream_unref(stream);
}

static void on_query_done(postgres_query_t *query) {
    stream_t *stream = query->data;
    if (query->err && !stream->failure.err) failure_of_query(&stream->failure, query, query->count);
    on_end(stream);
}

static void on_copy_done(postgres_copy_t *copy) {
    stream_t *stream = copy->user;
    if (copy->err && !stream->failure.err) failure_of_copy(&stream->failure, copy);
    on_end(stream);
}

void stream_drop(stream_t *stream) {
    stream->dropped = true;
    rows_clear(&stream->rows);
    buf_reset(&stream->bytes);
    pause_reading(stream, false);
    if (stream->leased->rows == stream) stream->leased->rows = NULL;
    if (!stream->failure.err) failure_set(&stream->failure, ERR_CLOSED, "the rows were closed");
    wake(stream);
}

/* What the script gets */

/* Rows that came before a failure are handed out first. */
static int push_next(lua_State *L, stream_t *stream) {
    if (!kept(stream)) {
        if (stream->failure.err) return failure_push(L, &stream->failure);
        lua_pushnil(L);
        return 1;
    }
    if (stream->copies)
        lua_pushlstring(L, stream->bytes.ptr, stream->bytes.len);
    else
        rows_push_added(L, &stream->rows);
    rows_clear(&stream->rows);
    buf_reset(&stream->bytes);
    pause_reading(stream, false);
    return 1;
}

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static int push(await_t *await, lua_State *L) {
    return push_next(L, op_of(await)->stream);
}

static void cancel(await_t *await) {
    op_of(await)->stream->next = NULL;
    await_finish(await);
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    stream_unref(op->stream);
    free(op);
}

static const await_ops_t NEXT = {push, cancel, release, "postgres.rows"};

static stream_t **check_box(lua_State *L) {
    return luaL_checkudata(L, 1, STREAM);
}

static int l_next(lua_State *L) {
    stream_t *stream = *check_box(L);
    if (!stream) luaL_error(L, "the rows have been closed");
    if (stream->next) luaL_error(L, "something waits for these rows already");
    if (kept(stream) || stream->ended || stream->dropped) return push_next(L, stream);
    op_t *op = calloc(1, sizeof *op);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    op->stream = stream;
    stream->refs++;
    await_begin(L, &op->await, &NEXT, 0);
    stream->next = op;
    return await_park(L, &op->await);
}

static int l_close(lua_State *L) {
    stream_t **box = check_box(L);
    stream_t *stream = *box;
    *box = NULL;
    if (!stream) return 0;
    stream_drop(stream);
    stream_unref(stream);
    return 0;
}

/* The beginning */

static uint64_t deadline_of(const stream_t *stream, lua_State *L, const query_options_t *options) {
    loop_t *loop = vm_of(L)->loop;
    uint64_t own = query_options_deadline(options, loop);
    const task_t *request = stream->leased->holder.task;
    uint64_t task = request ? task_deadline(request) : 0;
    if (!own) own = loop_now(loop) + LONGEST_MS;
    return task && task < own ? task : own;
}

static int start_rows(stream_t *stream, uint64_t deadline_ms) {
    postgres_query_t *query = &stream->query;
    query->statements = statements_all(&stream->statements);
    query->count = statements_count(&stream->statements);
    query->deadline_ms = deadline_ms;
    query->chunk = on_chunk;
    query->done = on_query_done;
    query->data = stream;
    int err = leased_submit(stream->leased, query);
    if (err) failure_set(&stream->failure, err, query->detail);
    return err;
}

static int start_copy(stream_t *stream, uint64_t deadline_ms) {
    postgres_copy_t *copy = &stream->copy;
    copy->sql = statements_all(&stream->statements)->sql;
    copy->deadline_ms = deadline_ms;
    copy->data = on_bytes;
    copy->done = on_copy_done;
    copy->user = stream;
    int err = leased_copy(stream->leased, copy);
    if (err) failure_set(&stream->failure, err, copy->detail);
    return err;
}

static void start(stream_t *stream, uint64_t deadline_ms) {
    int err = stream->copies ? start_copy(stream, deadline_ms) : start_rows(stream, deadline_ms);
    stream->ended = err != 0;
    if (err) return;
    stream->refs++;
    stream->leased->rows = stream;
}

/* Raises nothing. */
static int fill(stream_t *stream, lua_State *L, int first) {
    int err = 0;
    if (!stream->copies && stream->leased->begin)
        err = statements_add_text(&stream->statements, stream->leased->begin);
    if (!err) err = statements_add(&stream->statements, L, first + 1);
    return err ? err : statements_end(&stream->statements);
}

static int begin(lua_State *L, leased_t *leased, int first, bool copies) {
    char why[200];
    query_options_t options;
    query_options_check(L, first, &options);
    stream_t **box = native_push(L, STREAM);
    lua_insert(L, 1); /* out of the parameters' way */
    stream_t *stream = *box = stream_new(leased, copies);
    if (!stream) return await_push_error(L, ERR_NO_MEMORY, NULL);
    int err = fill(stream, L, first + 1);
    snprintf(why, sizeof why, "%s", stream->statements.fault.why);
    if (err == ERR_INVALID) luaL_error(L, "%s", why);
    if (err) return await_push_error(L, err, NULL);
    start(stream, deadline_of(stream, L, &options));
    lua_settop(L, 1);
    return 1;
}

int stream_lua_rows(lua_State *L, leased_t *leased, int first) {
    return begin(L, leased, first, false);
}

int stream_lua_copy(lua_State *L, leased_t *leased, int first) {
    return begin(L, leased, first, true);
}

void stream_lua_open(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"next", l_next}, {"close", l_close}, {NULL, NULL}};
    native_kind(L, STREAM, METHODS, l_close);
}
