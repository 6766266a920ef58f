/* lint.c: compiles a script, dumps its bytecode, and walks the functions for GGET and GSET. */
#include "tenant/lint.h"
#include "base/err.h"
#include <lauxlib.h>
#include <lua.h>

/* LuaJIT's dump: a header, then per function its length and: flags, params, frame, upvalues (a byte each), numbers
   of constants, of numbers and of instructions, size of the debug part, first line, lines; instructions of 4 bytes;
   upvalues of 2; constants, the last first; numbers; debug part, which begins with a line per instruction. */
typedef struct cursor {
    const unsigned char *at, *end;
    bool bad;
} cursor_t;

typedef struct opcodes {
    unsigned read, write; /* GGET, GSET of the LuaJIT that is linked */
} opcodes_t;

typedef struct lint {
    opcodes_t opcodes;
    void (*found)(void *data, const lint_use_t *use);
    void *data;
} lint_t;

typedef struct function {
    const unsigned char *code, *lines;
    size_t ncode, nconstants;
    uint32_t first_line, nlines;
    cursor_t constants;
} function_t;

enum { CONST_CHILD, CONST_TABLE, CONST_I64, CONST_U64, CONST_COMPLEX, CONST_STRING };

static uint32_t take_byte(cursor_t *cursor) {
    if (cursor->at < cursor->end) return *cursor->at++;
    cursor->bad = true;
    return 0;
}

static uint32_t take_uleb(cursor_t *cursor) {
    uint32_t value = 0, byte;
    int shift = 0;
    do {
        byte = take_byte(cursor);
        if (shift < 32) value |= (byte & 0x7F) << shift;
        shift += 7;
    } while (byte & 0x80 && !cursor->bad);
    return value;
}

static const unsigned char *skip(cursor_t *cursor, size_t count) {
    const unsigned char *at = cursor->at;
    if ((size_t)(cursor->end - at) < count) {
        cursor->bad = true;
        count = (size_t)(cursor->end - at);
    }
    cursor->at += count;
    return at;
}

static void skip_table_value(cursor_t *cursor) {
    uint32_t kind = take_uleb(cursor);
    if (kind >= 5)
        skip(cursor, kind - 5);
    else if (kind == 3)
        take_uleb(cursor);
    else if (kind == 4)
        take_uleb(cursor), take_uleb(cursor);
}

static void skip_table(cursor_t *cursor) {
    uint64_t array = take_uleb(cursor), hash = take_uleb(cursor);
    for (uint64_t i = 0; i < array + 2 * hash && !cursor->bad; i++)
        skip_table_value(cursor);
}

/* One constant; its text when it is a string, else an empty span without a pointer. */
static span_t take_constant(cursor_t *cursor) {
    uint32_t kind = take_uleb(cursor);
    if (kind >= CONST_STRING) {
        const unsigned char *text = skip(cursor, kind - CONST_STRING);
        return (span_t){(const char *)text, cursor->bad ? 0 : kind - CONST_STRING};
    }
    int numbers = kind == CONST_COMPLEX ? 4 : kind == CONST_I64 || kind == CONST_U64 ? 2 : 0;
    while (numbers-- > 0)
        take_uleb(cursor);
    if (kind == CONST_TABLE) skip_table(cursor);
    return (span_t){NULL, 0};
}

static span_t constant_at(const function_t *function, size_t index) {
    cursor_t cursor = function->constants;
    if (index >= function->nconstants) return (span_t){NULL, 0};
    span_t text = {NULL, 0};
    for (size_t i = 0; i + index < function->nconstants && !cursor.bad; i++)
        text = take_constant(&cursor);
    return cursor.bad ? (span_t){NULL, 0} : text;
}

static int line_at(const function_t *function, size_t index) {
    if (!function->lines) return 0;
    uint32_t delta = 0;
    int width = function->nlines < 256 ? 1 : function->nlines < 65536 ? 2 : 4;
    memcpy(&delta, function->lines + index * (size_t)width, (size_t)width);
    return (int)(function->first_line + delta);
}

/* Reads a function's head; false when the dump is not what is expected. */
static bool open_function(cursor_t *cursor, bool stripped, function_t *out) {
    skip(cursor, 3);
    uint32_t nupvalues = take_byte(cursor);
    out->nconstants = take_uleb(cursor);
    take_uleb(cursor);
    out->ncode = take_uleb(cursor);
    uint32_t debug = stripped ? 0 : take_uleb(cursor);
    if (debug) {
        out->first_line = take_uleb(cursor);
        out->nlines = take_uleb(cursor);
    }
    out->code = skip(cursor, out->ncode * 4);
    skip(cursor, nupvalues * 2);
    out->constants = *cursor;
    if (cursor->bad || debug > (size_t)(cursor->end - cursor->at)) return false;
    size_t width = out->nlines < 256 ? 1 : out->nlines < 65536 ? 2 : 4;
    if (debug >= out->ncode * width) out->lines = cursor->end - debug;
    return true;
}

static void walk_function(const lint_t *lint, const function_t *function) {
    for (size_t i = 0; i < function->ncode; i++) {
        const unsigned char *code = function->code + i * 4;
        bool write = code[0] == lint->opcodes.write;
        if (!write && code[0] != lint->opcodes.read) continue;
        span_t name = constant_at(function, (size_t)(code[2] | code[3] << 8));
        lint_use_t use = {name, line_at(function, i), write};
        if (name.len) lint->found(lint->data, &use);
    }
}

/* Visits each function of a dump. */
static void walk_dump(
    const buf_t *dump, void (*visit)(void *data, const function_t *function), void *data) {
    cursor_t cursor = {
        (const unsigned char *)dump->ptr, (const unsigned char *)dump->ptr + dump->len, false};
    skip(&cursor, 4);
    bool stripped = take_uleb(&cursor) & 2;
    if (!stripped) skip(&cursor, take_uleb(&cursor));
    while (!cursor.bad) {
        uint32_t len = take_uleb(&cursor);
        if (len == 0 || cursor.bad) return;
        const unsigned char *start = skip(&cursor, len);
        function_t function = {0};
        cursor_t inner = {start, cursor.at, false};
        if (open_function(&inner, stripped, &function)) visit(data, &function);
    }
}

static int append(lua_State *L, const void *bytes, size_t len, void *data) {
    (void)L;
    buf_put(data, bytes, len);
    return ((buf_t *)data)->failed;
}

/* False when text does not parse or memory ran out (then dump->failed). */
static bool dump_text(lua_State *L, span_t text, buf_t *dump) {
    buf_reset(dump);
    bool parsed = luaL_loadbufferx(L, text.ptr, text.len, "=lint", "t") == 0;
    if (parsed && lua_dump(L, append, dump)) dump->failed = true;
    lua_settop(L, 0);
    return parsed && !dump->failed;
}

static void take_first(void *data, const function_t *function) {
    unsigned *opcode = data;
    *opcode = function->ncode ? function->code[0] : 0;
}

static void take_second(void *data, const function_t *function) {
    unsigned *opcode = data;
    *opcode = function->ncode > 1 ? function->code[4] : 0;
}

/* The numbers of the two instructions are not public; two scripts of one statement show them. */
static bool learn(lua_State *L, buf_t *dump, opcodes_t *opcodes) {
    if (!dump_text(L, SPAN("local a = x"), dump)) return false;
    walk_dump(dump, take_first, &opcodes->read);
    if (!dump_text(L, SPAN("x = 1"), dump)) return false;
    walk_dump(dump, take_second, &opcodes->write);
    return opcodes->read != opcodes->write;
}

static void visit_function(void *data, const function_t *function) {
    walk_function(data, function);
}

int lint_globals(span_t text, void (*found)(void *data, const lint_use_t *use), void *data) {
    lint_t lint = {{0, 0}, found, data};
    buf_t dump;
    buf_create(&dump);
    lua_State *L = luaL_newstate();
    int err = L && learn(L, &dump, &lint.opcodes) ? 0 : ERR_NO_MEMORY;
    if (!err && dump_text(L, text, &dump)) walk_dump(&dump, visit_function, &lint);
    if (dump.failed) err = ERR_NO_MEMORY;
    if (L) lua_close(L);
    buf_destroy(&dump);
    return err;
}
