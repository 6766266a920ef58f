/* sqlite_lua.c: sqlite.open(name) and the methods query, exec, transaction and changed, which wait. */
#include "sqlite/sqlite_lua.h"
#include <math.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/clock.h"
#include "lua/await.h"
#include "lua/native.h"

#define HANDLE "perigee.sqlite.db"
#define PARAMS_MOST 30000
#define STATEMENTS_MOST 20000
#define TIMEOUT_MS 30000 /* of an operation whose task has no deadline */

/* The last data_version a handle has seen; shared with the operations that will update it. */
typedef struct seen {
    int refs;
    bool known;
    int64_t version;
} seen_t;

typedef struct handle {
    db_t *db;
    size_t max_bytes;
    seen_t *seen;
} handle_t;

typedef struct op op_t;
struct op {
    await_t await;
    db_op_t db_op;
    arena_t
        arena; /* the statements and copies of their texts: the script's own may be collected meanwhile */
    int (*push)(op_t *op, lua_State *L);
    seen_t *seen;
};

static void seen_release(seen_t *seen) {
    if (seen && --seen->refs == 0) free(seen);
}

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static int push_result(await_t *await, lua_State *L) {
    op_t *op = op_of(await);
    return op->push(op, L);
}

static void cancel(await_t *await) {
    db_cancel(&op_of(await)->db_op);
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    seen_release(op->seen);
    buf_destroy(&op->db_op.job.cells);
    arena_destroy(&op->arena);
    free(op);
}

static const await_ops_t QUERY = {push_result, cancel, release, "sqlite.query"};
static const await_ops_t EXEC = {push_result, cancel, release, "sqlite.exec"};
static const await_ops_t TRANSACTION = {push_result, cancel, release, "sqlite.transaction"};
static const await_ops_t CHANGED = {push_result, cancel, release, "sqlite.changed"};

static void on_done(db_op_t *db_op) {
    op_t *op = LIST_OWNER(db_op, op_t, db_op);
    if (db_op->job.err)
        await_fail(&op->await, db_op->job.err, db_op->job.detail);
    else
        await_finish(&op->await);
}

static void push_cell(lua_State *L, const cell_t *cell) {
    switch (cell->kind) {
    case CELL_NULL:
        lua_pushnil(L);
        break;
    case CELL_INT:
        lua_pushnumber(L, (lua_Number)cell->integer);
        break;
    case CELL_FLOAT:
        lua_pushnumber(L, cell->number);
        break;
    case CELL_TEXT:
        lua_pushlstring(L, cell->text.ptr, cell->text.len);
        break;
    }
}

static void push_row(lua_State *L, const buf_t *cells, size_t *at, int names, int columns) {
    cell_t cell;
    lua_createtable(L, 0, columns);
    for (int i = 0; i < columns; i++) {
        cell_read(cells, at, &cell);
        if (cell.kind == CELL_NULL) continue;
        lua_pushvalue(L, names + i);
        push_cell(L, &cell);
        lua_rawset(L, -3);
    }
}

/* A list of rows, each a table from column name to value; NULL is absent. */
static void push_rows(lua_State *L, const buf_t *cells, const result_t *result) {
    int columns = (int)result->columns, names;
    size_t at = result->at;
    cell_t cell;
    luaL_checkstack(L, columns + 8, "too many columns");
    lua_createtable(L, (int)result->rows, 0);
    names = lua_gettop(L) + 1;
    for (int i = 0; i < columns; i++) {
        cell_read(cells, &at, &cell);
        push_cell(L, &cell);
    }
    for (size_t i = 1; i <= result->rows; i++) {
        push_row(L, cells, &at, names, columns);
        lua_rawseti(L, names - 1, (int)i);
    }
    lua_settop(L, names - 1);
}

static int push_query(op_t *op, lua_State *L) {
    push_rows(L, &op->db_op.job.cells, &op->db_op.job.results[0]);
    return 1;
}

static int push_exec(op_t *op, lua_State *L) {
    lua_pushnumber(L, (lua_Number)op->db_op.job.results[0].changes);
    return 1;
}

static void push_outcome(lua_State *L, const buf_t *cells, const result_t *result) {
    lua_createtable(L, 0, 2);
    lua_pushnumber(L, (lua_Number)result->changes);
    lua_setfield(L, -2, "changes");
    if (result->err) {
        lua_pushstring(L, err_name(result->err));
        lua_setfield(L, -2, "error");
        lua_pushstring(L, result->detail);
        lua_setfield(L, -2, "detail");
    } else if (result->columns) {
        push_rows(L, cells, result);
        lua_setfield(L, -2, "rows");
    }
}

static int push_transaction(op_t *op, lua_State *L) {
    const job_t *job = &op->db_op.job;
    lua_createtable(L, (int)job->count, 0);
    for (size_t i = 0; i < job->count; i++) {
        push_outcome(L, &job->cells, &job->results[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

static int push_changed(op_t *op, lua_State *L) {
    size_t at = op->db_op.job.results[0].at;
    cell_t cell;
    cell_read(&op->db_op.job.cells, &at, &cell); /* the column's name */
    cell_read(&op->db_op.job.cells, &at, &cell);
    lua_pushboolean(L, !op->seen->known || op->seen->version != cell.integer);
    op->seen->known = true;
    op->seen->version = cell.integer;
    return 1;
}

static int params_count(lua_State *L, int params) {
    if (lua_isnoneornil(L, params)) return 0;
    luaL_checktype(L, params, LUA_TTABLE);
    lua_pushliteral(L, "n");
    lua_rawget(L, params);
    lua_Number n = lua_isnumber(L, -1) ? lua_tonumber(L, -1) : (lua_Number)lua_objlen(L, params);
    lua_pop(L, 1);
    if (!(n >= 0 && n <= PARAMS_MOST)) luaL_error(L, "too many parameters");
    return (int)n;
}

/* Checks all parameters before anything is acquired. Texts of objects (decimals) go to the end of the list `texts`,
   because __tostring may raise. */
static void check_params(lua_State *L, int params, int texts) {
    int count = params_count(L, params);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, params, i);
        int type = lua_type(L, -1);
        if (type == LUA_TNUMBER && !isfinite(lua_tonumber(L, -1)))
            luaL_error(L, "parameter %d is not a finite number", i);
        if (type == LUA_TTABLE || type == LUA_TUSERDATA) {
            if (!luaL_callmeta(L, -1, "__tostring") || lua_type(L, -1) != LUA_TSTRING)
                luaL_error(L, "parameter %d is a %s without a text", i, lua_typename(L, type));
            lua_rawseti(L, texts, (int)lua_objlen(L, texts) + 1);
        } else if (type == LUA_TFUNCTION || type == LUA_TTHREAD) {
            luaL_error(L, "parameter %d is a %s", i, lua_typename(L, type));
        }
        lua_pop(L, 1);
    }
}

/* What pack reads from: the list of texts, and how many of them are used up. */
typedef struct source {
    lua_State *L;
    int texts, used;
} source_t;

static cell_t text_cell(op_t *op, lua_State *L) {
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    return (cell_t){.kind = CELL_TEXT, .text = {arena_dup(&op->arena, text, len), len}};
}

static cell_t number_cell(lua_Number number) {
    if (number == floor(number) && fabs(number) < 9.2e18)
        return (cell_t){.kind = CELL_INT, .integer = (int64_t)number};
    return (cell_t){.kind = CELL_FLOAT, .number = number};
}

/* The value on top of the stack; a text without memory has a NULL pointer. Raises nothing. */
static cell_t pack_cell(op_t *op, source_t *source) {
    lua_State *L = source->L;
    cell_t cell;
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        return (cell_t){.kind = CELL_INT, .integer = lua_toboolean(L, -1)};
    case LUA_TNUMBER:
        return number_cell(lua_tonumber(L, -1));
    case LUA_TSTRING:
        return text_cell(op, L);
    case LUA_TTABLE:
    case LUA_TUSERDATA:
        lua_rawgeti(L, source->texts, ++source->used);
        cell = text_cell(op, L);
        lua_pop(L, 1);
        return cell;
    default:
        return (cell_t){.kind = CELL_NULL};
    }
}

static int pack_params(op_t *op, source_t *source, int params, statement_t *statement) {
    int count = params_count(source->L, params);
    cell_t *cells = arena_alloc(&op->arena, ((size_t)count + 1) * sizeof *cells);
    if (!cells) return ERR_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        lua_rawgeti(source->L, params, i + 1);
        cells[i] = pack_cell(op, source);
        lua_pop(source->L, 1);
        if (cells[i].kind == CELL_TEXT && !cells[i].text.ptr) return ERR_NO_MEMORY;
    }
    statement->params = cells;
    statement->count = (size_t)count;
    return 0;
}

static int pack_sql(op_t *op, source_t *source, int sql, statement_t *statement) {
    size_t len;
    const char *text = lua_tolstring(source->L, sql, &len);
    statement->expect = -1;
    statement->sql = (span_t){arena_dup(&op->arena, text, len), len};
    return statement->sql.ptr ? 0 : ERR_NO_MEMORY;
}

static handle_t *check_handle(lua_State *L) {
    return luaL_checkudata(L, 1, HANDLE);
}

/* NULL when out of memory. */
static op_t *op_new(const handle_t *handle, size_t statements, db_kind_t kind) {
    op_t *op = calloc(1, sizeof *op);
    if (!op) return NULL;
    arena_create(&op->arena);
    job_t *job = &op->db_op.job;
    buf_create(&job->cells);
    job->statements = arena_zalloc(&op->arena, (statements + 1) * sizeof *job->statements);
    job->results = arena_zalloc(&op->arena, (statements + 1) * sizeof *job->results);
    job->count = statements;
    job->max_bytes = handle->max_bytes;
    op->db_op.kind = kind;
    op->db_op.done = on_done;
    if (job->statements && job->results) return op;
    release(&op->await);
    return NULL;
}

static int out_of_memory(lua_State *L, op_t *op) {
    if (op) release(&op->await);
    return await_push_error(L, ERR_NO_MEMORY, NULL);
}

static int start(lua_State *L, op_t *op, db_t *db, const await_ops_t *ops) {
    await_begin(L, &op->await, ops, TIMEOUT_MS);
    op->db_op.job.deadline_ns = clock_mono_ns() + await_left(&op->await) * 1000000u;
    int err = db_submit(db, &op->db_op);
    if (err) await_fail(&op->await, err, NULL);
    return await_park(L, &op->await);
}

/* db:query and db:exec: one statement and its parameters. */
static int single(
    lua_State *L, db_kind_t kind, int (*push)(op_t *, lua_State *), const await_ops_t *ops) {
    handle_t *handle = check_handle(L);
    luaL_checktype(L, 2, LUA_TSTRING);
    lua_settop(L, 3);
    lua_newtable(L);
    check_params(L, 3, 4);
    op_t *op = op_new(handle, 1, kind);
    source_t source = {L, 4, 0};
    if (!op) return out_of_memory(L, NULL);
    statement_t *statement = (statement_t *)op->db_op.job.statements;
    if (pack_sql(op, &source, 2, statement) || pack_params(op, &source, 3, statement))
        return out_of_memory(L, op);
    op->push = push;
    return start(L, op, handle->db, ops);
}

static int l_query(lua_State *L) {
    return single(L, DB_READ, push_query, &QUERY);
}
static int l_exec(lua_State *L) {
    return single(L, DB_WRITE, push_exec, &EXEC);
}

/* Leaves the item's sql, params, expect and may_conflict on the stack above it. */
static void open_item(lua_State *L, int list, int index) {
    lua_rawgeti(L, list, index);
    int item = lua_gettop(L);
    lua_rawgeti(L, item, 1);
    lua_rawgeti(L, item, 2);
    lua_pushliteral(L, "expect");
    lua_rawget(L, item);
    lua_pushliteral(L, "may_conflict");
    lua_rawget(L, item);
}

static void check_item(lua_State *L, int list, int index, int texts) {
    int top = lua_gettop(L);
    lua_rawgeti(L, list, index);
    if (!lua_istable(L, -1)) luaL_error(L, "statement %d is not a table", index);
    lua_pop(L, 1);
    open_item(L, list, index);
    if (lua_type(L, top + 2) != LUA_TSTRING) luaL_error(L, "statement %d has no text", index);
    if (!lua_isnil(L, top + 3) && !lua_istable(L, top + 3))
        luaL_error(L, "the parameters of statement %d are not a list", index);
    if (!lua_isnil(L, top + 4) && lua_type(L, top + 4) != LUA_TNUMBER)
        luaL_error(L, "expect of statement %d is not a number", index);
    check_params(L, top + 3, texts);
    lua_settop(L, top);
}

static int pack_item(op_t *op, source_t *source, int list, int index) {
    lua_State *L = source->L;
    statement_t *statement = (statement_t *)&op->db_op.job.statements[index - 1];
    int top = lua_gettop(L);
    open_item(L, list, index);
    int err = pack_sql(op, source, top + 2, statement);
    if (!err) err = pack_params(op, source, top + 3, statement);
    if (!lua_isnil(L, top + 4)) statement->expect = (int64_t)lua_tonumber(L, top + 4);
    statement->may_conflict = lua_toboolean(L, top + 5);
    lua_settop(L, top);
    return err;
}

static int l_transaction(lua_State *L) {
    handle_t *handle = check_handle(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_newtable(L);
    luaL_checkstack(L, 12, NULL);
    size_t count = lua_objlen(L, 2);
    luaL_argcheck(L, count <= STATEMENTS_MOST, 2, "too many statements");
    for (int i = 1; i <= (int)count; i++)
        check_item(L, 2, i, 3);
    op_t *op = op_new(handle, count, DB_WRITE);
    source_t source = {L, 3, 0};
    if (!op) return out_of_memory(L, NULL);
    for (int i = 1; i <= (int)count; i++)
        if (pack_item(op, &source, 2, i)) return out_of_memory(L, op);
    op->push = push_transaction;
    return start(L, op, handle->db, &TRANSACTION);
}

static int l_changed(lua_State *L) {
    handle_t *handle = check_handle(L);
    op_t *op = op_new(handle, 1, DB_PEEK);
    if (!op) return out_of_memory(L, NULL);
    statement_t *statement = (statement_t *)op->db_op.job.statements;
    statement->sql = SPAN("PRAGMA data_version");
    statement->expect = -1;
    op->push = push_changed;
    op->seen = handle->seen;
    op->seen->refs++;
    return start(L, op, handle->db, &CHANGED);
}

static int l_gc(lua_State *L) {
    handle_t *handle = check_handle(L);
    seen_release(handle->seen);
    handle->seen = NULL;
    return 0;
}

/* sqlite.open(name, {durable = bool}) → db */
static int l_open(lua_State *L) {
    sqlite_t *engine = lua_touserdata(L, lua_upvalueindex(1));
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    bool durable = false;
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        lua_getfield(L, 2, "durable");
        durable = lua_toboolean(L, -1);
    }
    handle_t *handle = lua_newuserdata(L, sizeof *handle);
    *handle = (handle_t){.max_bytes = sqlite_max_bytes(engine)};
    luaL_getmetatable(L, HANDLE);
    lua_setmetatable(L, -2);
    int err = sqlite_open(engine, (span_t){name, len}, durable, &handle->db);
    if (err) return await_push_error(L, err, NULL);
    handle->seen = calloc(1, sizeof *handle->seen);
    if (!handle->seen) return await_push_error(L, ERR_NO_MEMORY, NULL);
    handle->seen->refs = 1;
    return 1;
}

static int install(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"query", l_query}, {"exec", l_exec},
        {"transaction", l_transaction}, {"changed", l_changed}, {NULL, NULL}};
    static const luaL_Reg FUNCTIONS[] = {{"open", l_open}, {NULL, NULL}};
    native_kind(L, HANDLE, METHODS, l_gc);
    native_module(L, "sqlite", FUNCTIONS, lua_touserdata(L, 1));
    return 0;
}

int sqlite_lua_open(vm_t *vm, sqlite_t *engine) {
    char error[256];
    return vm_protect(vm, install, engine, error, sizeof error);
}
