/* fuzz_pg_value.c: any bytes as what a server writes for a value; a list that is read is written, and read again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/json_encode.h"
#include "lua/vm.h"
#include "postgres/cell.h"
#include "postgres/mark.h"
#include "postgres/oids.h"
#include "postgres/param.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Oid TYPES[] = {
#define X(NAME, type, list) type, list,
    OID_LIST(X)
#undef X
};

static bool no_modules(void *data, const char *module, vm_source_t *out) {
    (void)data;
    (void)module;
    (void)out;
    return false;
}

static int open_marks(lua_State *L) {
    mark_open(L);
    return 0;
}

static vm_t *shared_vm(void) {
    static vm_t *vm;
    if (vm) return vm;
    vm = vm_new_trusted(NULL, no_modules, NULL);
    if (!vm || vm_protect(vm, open_marks, NULL, NULL, 0)) abort();
    return vm;
}

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    abort();
}

typedef struct input {
    Oid type;
    span_t text;
} input_t;

static int push(lua_State *L, void *data) {
    const input_t *input = data;
    cell_push(L, input->type, input->text);
    return 1;
}

/* The value on top as JSON, when it has no text that JSON has not. */
static bool describe(lua_State *L, buf_t *out) {
    char why[200];
    return json_encode(L, -1, out, why, sizeof why) == 0;
}

/* An array of texts on top: what is written for it reads the same. */
static void check_again(lua_State *L, Oid type) {
    buf_t first, second, text;
    fault_t fault;
    param_kind_t kind;
    buf_create(&first);
    buf_create(&second);
    buf_create(&text);
    int err = param_write(L, lua_gettop(L), &text, &kind, &fault);
    if (!err && describe(L, &first)) {
        input_t again = {type, buf_view(&text)};
        if (vm_call(L, push, &again)) fail("what was written is not read", lua_tostring(L, -1));
        if (!describe(L, &second)) fail("what was written", "is not the same");
        if (!span_eq(buf_view(&first), buf_view(&second))) fail("read again", "it differs");
    }
    buf_destroy(&first);
    buf_destroy(&second);
    buf_destroy(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lua_State *L = shared_vm()->L;
    int top = lua_gettop(L);
    if (!size) return 0;
    Oid type = TYPES[data[0] % (sizeof TYPES / sizeof *TYPES)];
    input_t input = {type, {(const char *)data + 1, size - 1}};
    if (!vm_call(L, push, &input)) {
        if (lua_gettop(L) != top + 1) fail("the stack", "is not as it was");
        if (oid_element(type) == OID_TEXT) check_again(L, type);
    }
    lua_settop(L, top);
    return 0;
}
