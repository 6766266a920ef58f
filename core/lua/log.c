/* log.c: the module log of trusted scripts: one JSON line per event, with the request id of the task that runs. */
#include "base/log.h"

#include <stdlib.h>
#include <lauxlib.h>
#include "lua/json_encode.h"
#include "lua/task.h"

enum { FIELDS_MOST = 64, LINE_MOST = 16384 };

/* Written by the server itself, and not to be imitated. */
static bool is_reserved(span_t name) {
    return span_eq(name, SPAN("time")) || span_eq(name, SPAN("level")) ||
           span_eq(name, SPAN("event")) || span_eq(name, SPAN("requestId"));
}

/* The key is at -2, the value on top. A value that is not JSON is named instead of losing the line. */
static void put_field(lua_State *L, buf_t *line) {
    span_t name;
    char why[160];
    name.ptr = lua_tolstring(L, -2, &name.len);
    size_t before = line->len;
    buf_char(line, ',');
    buf_json(line, name);
    buf_char(line, ':');
    size_t value = line->len;
    if (json_encode(L, -1, line, why, sizeof why) != 0) buf_json(line, span_of(why));
    if (line->len - value <= LINE_MOST) return;
    line->len = before;
    buf_text(line, ",\"cut\":true");
}

static void put_fields(lua_State *L, buf_t *line) {
    int count = 0;
    lua_pushnil(L);
    while (lua_next(L, 2) != 0) {
        size_t len;
        if (lua_type(L, -2) == LUA_TSTRING) {
            const char *name = lua_tolstring(L, -2, &len);
            if (!is_reserved((span_t){name, len}) && count++ < FIELDS_MOST) put_field(L, line);
        }
        lua_pop(L, 1);
    }
}

/* log.info(event, fields): nothing below may raise between begin and end, or the line would stay open. */
static int write_line(lua_State *L, log_level_t level) {
    const char *event = luaL_checkstring(L, 1);
    bool fields = !lua_isnoneornil(L, 2);
    if (fields) luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checkstack(L, 12, "log");
    buf_t *line = log_begin(level, event);
    if (line == NULL) return 0;
    const task_t *task = task_of(L);
    const char *id = task != NULL ? task_request_id(task) : NULL;
    if (id != NULL) {
        buf_text(line, ",\"requestId\":");
        buf_json(line, span_of(id));
    }
    if (fields) put_fields(L, line);
    log_end();
    return 0;
}

static int l_debug(lua_State *L) {
    return write_line(L, LOG_DEBUG);
}
static int l_info(lua_State *L) {
    return write_line(L, LOG_INFO);
}
static int l_warn(lua_State *L) {
    return write_line(L, LOG_WARN);
}
static int l_error(lua_State *L) {
    return write_line(L, LOG_ERROR);
}

int luaopen_log(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"debug", l_debug}, {"info", l_info}, {"warn", l_warn}, {"error", l_error}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
