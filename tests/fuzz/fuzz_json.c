/* fuzz_json.c: any bytes: what decodes also encodes, and decodes again to the same; both readers of JSON agree. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "lua/json.h"
#include "lua/json_encode.h"
#include "lua/value.h"
#include "lua/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool no_modules(void *data, const char *module, vm_source_t *out) {
    (void)data;
    (void)module;
    (void)out;
    return false;
}

static vm_t *shared_vm(void) {
    static vm_t *vm;
    if (vm == NULL) vm = vm_new_trusted(NULL, no_modules, NULL);
    if (vm == NULL) abort();
    return vm;
}

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    abort();
}

/* Whether the text decodes; its value as JSON again is in out. */
static bool rewrite(lua_State *L, span_t text, buf_t *out) {
    char why[240];
    int top = lua_gettop(L);
    bool good = json_decode(L, text, why, sizeof why) == 0;
    if (good && json_encode(L, -1, out, why, sizeof why) != 0)
        fail("what decodes must encode", why);
    if (lua_gettop(L) != top + good) fail("the stack", "is not as it was");
    lua_settop(L, top);
    return good;
}

static void check_lua(span_t text, bool *good) {
    buf_t first, second;
    buf_create(&first);
    buf_create(&second);
    *good = rewrite(shared_vm()->L, text, &first);
    if (*good) {
        if (!rewrite(shared_vm()->L, buf_view(&first), &second))
            fail("what is encoded", "does not decode");
        if (!span_eq(buf_view(&first), buf_view(&second))) fail("decoded again", "it differs");
    }
    buf_destroy(&first);
    buf_destroy(&second);
}

static void check_value(span_t text, bool good) {
    static const value_limits_t limits = {.depth = 128, .nodes = 1 << 20, .bytes = 1 << 24};
    arena_t arena;
    value_t value;
    char why[160];
    arena_create(&arena);
    bool parsed = value_parse(text, &arena, &limits, true, &value, why, sizeof why) == 0;
    if (good && !parsed) fail("only Lua reads it", why);
    if (parsed) {
        buf_t out;
        buf_create(&out);
        value_json(&out, &value);
        if (value_parse(buf_view(&out), &arena, &limits, true, &value, why, sizeof why) != 0) {
            fail("a value's JSON", why);
        }
        buf_destroy(&out);
    }
    arena_destroy(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span_t text = {(const char *)data, size};
    bool good;
    check_lua(text, &good);
    check_value(text, good);
    return 0;
}
