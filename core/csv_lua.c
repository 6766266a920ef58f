/* csv_lua.c: reads a CSV file piece by piece and hands its records to Lua; joins base/csv and the trusted VM. */
#include "csv_lua.h"
#include <lauxlib.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>
#include "base/csv.h"
#include "base/err.h"
#include "lua/await.h"

#define TYPE "perigee.csv"
#define PIECE 65536

/* A record in `held`: this, then per field its length and its bytes. Copied out of the parser, because no Lua error may
   jump out of its callback. */
typedef struct held {
    size_t line, nfields;
    const char *fault; /* static text */
} held_t;

typedef struct reader {
    FILE *file;
    csv_t *csv;
    buf_t held;  /* the records of the last piece */
    size_t next; /* where the next one to hand out starts */
    bool ended;
} reader_t;

static int hold(void *data, size_t line, const span_t *fields, size_t nfields, const char *fault) {
    reader_t *reader = data;
    held_t record = {line, nfields, fault};
    for (size_t i = 0; i < nfields && !record.fault; i++)
        if (!span_is_utf8(fields[i])) record.fault = "the record is not UTF-8";
    if (record.fault) record.nfields = 0;
    buf_put(&reader->held, &record, sizeof record);
    for (size_t i = 0; i < record.nfields; i++) {
        buf_put(&reader->held, &fields[i].len, sizeof fields[i].len);
        buf_span(&reader->held, fields[i]);
    }
    return reader->held.failed ? ERR_NO_MEMORY : 0;
}

/* Reads pieces until records are held or the file ends. 0 or an error. */
static int fill(reader_t *reader) {
    char piece[PIECE];
    int err = 0;
    buf_reset(&reader->held);
    reader->next = 0;
    while (!err && !reader->ended && reader->held.len == 0) {
        size_t len = fread(piece, 1, sizeof piece, reader->file);
        if (len > 0) err = csv_push(reader->csv, piece, len);
        if (len > 0 || err) continue;
        if (ferror(reader->file)) return uv_translate_sys_error(errno);
        reader->ended = true;
        err = csv_end(reader->csv);
    }
    return err;
}

static void take(reader_t *reader, void *out, size_t len) {
    memcpy(out, reader->held.ptr + reader->next, len);
    reader->next += len;
}

static int push_record(lua_State *L, reader_t *reader) {
    held_t record;
    take(reader, &record, sizeof record);
    lua_pushinteger(L, (lua_Integer)record.line);
    lua_createtable(L, (int)record.nfields, 0);
    for (size_t i = 0; i < record.nfields; i++) {
        size_t len;
        take(reader, &len, sizeof len);
        lua_pushlstring(L, reader->held.ptr + reader->next, len);
        reader->next += len;
        lua_rawseti(L, -2, (int)i + 1);
    }
    if (!record.fault) return 2;
    lua_pushstring(L, record.fault);
    return 3;
}

static int l_next(lua_State *L) {
    reader_t *reader = lua_touserdata(L, lua_upvalueindex(1));
    if (reader->next == reader->held.len) {
        int err = fill(reader);
        if (err) return luaL_error(L, "cannot read the file: %s", err_text(err));
    }
    return reader->next == reader->held.len ? 0 : push_record(L, reader);
}

static int l_gc(lua_State *L) {
    reader_t *reader = luaL_checkudata(L, 1, TYPE);
    if (reader->file) fclose(reader->file);
    csv_delete(reader->csv);
    buf_destroy(&reader->held);
    memset(reader, 0, sizeof *reader);
    return 0;
}

static int l_records(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    reader_t *reader = lua_newuserdata(L, sizeof *reader);
    memset(reader, 0, sizeof *reader);
    buf_create(&reader->held);
    luaL_getmetatable(L, TYPE);
    lua_setmetatable(L, -2);
    reader->file = fopen(path, "rb");
    if (!reader->file) return await_push_error(L, uv_translate_sys_error(errno), NULL);
    reader->csv = csv_new(hold, reader);
    if (!reader->csv) return await_push_error(L, ERR_NO_MEMORY, NULL);
    /* A folder opens too; only the first read tells. */
    int err = fill(reader);
    if (err) return await_push_error(L, err, NULL);
    lua_pushcclosure(L, l_next, 1);
    return 1;
}

int luaopen_csv(lua_State *L) {
    luaL_newmetatable(L, TYPE);
    lua_pushcfunction(L, l_gc);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    lua_pushcfunction(L, l_records);
    lua_setfield(L, -2, "records");
    return 1;
}
