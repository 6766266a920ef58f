/* bundle.c: turns script texts into bytecode in a scratch state, so that a worker's loop never runs the compiler. */
#include "bundle.h"
#include "base/err.h"
#include "files.h"
#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

#define BUNDLE_MAX (64 * 1024 * 1024)
#define SCRIPT_MAX (1024 * 1024)

bool bundle_load(void *data, const char *module, vm_source_t *out) {
    bundle_t *bundle = data;
    vm_source_t *found = map_get(&bundle->modules, span_of(module));
    if (found) *out = *found;
    return found != NULL;
}

void bundle_delete(bundle_t *bundle) {
    if (!bundle) return;
    map_destroy(&bundle->modules);
    arena_destroy(&bundle->arena);
    free(bundle);
}

/* "api/products.lua" to "api.products"; a folder's init.lua is the folder. */
static char *module_name(arena_t *arena, span_t file) {
    span_t stem = {file.ptr, file.len - 4};
    if (stem.len > 5 && memcmp(stem.ptr + stem.len - 5, "/init", 5) == 0) stem.len -= 5;
    char *name = arena_dup(arena, stem.ptr, stem.len);
    for (char *at = name; at && *at; at++)
        if (*at == '/') *at = '.';
    return name;
}

static int write_code(lua_State *L, const void *bytes, size_t len, void *data) {
    (void)L;
    buf_put(data, bytes, len);
    return 0;
}

static int compile(span_t text, const char *name, buf_t *code, char *why, size_t size) {
    lua_State *L = luaL_newstate();
    if (!L) return ERR_NO_MEMORY;
    int err = 0;
    if (luaL_loadbufferx(L, text.ptr, text.len, name, "t") != 0) {
        const char *message = lua_tostring(L, -1);
        snprintf(why, size, "%s", message ? message : "does not parse");
        err = ERR_SYNTAX;
    } else if (lua_dump(L, write_code, code) != 0 || code->failed) {
        err = ERR_NO_MEMORY;
    }
    lua_close(L);
    return err;
}

static int keep(bundle_t *bundle, span_t file, const char *chunk, const buf_t *code) {
    vm_source_t *source = arena_alloc(&bundle->arena, sizeof *source);
    char *bytes = arena_dup(&bundle->arena, code->ptr, code->len);
    char *module = module_name(&bundle->arena, file);
    if (!source || !bytes || !module) return ERR_NO_MEMORY;
    *source = (vm_source_t){bytes, code->len, chunk};
    return map_set(&bundle->modules, span_of(module), source, NULL);
}

static int add(bundle_t *bundle, span_t file, span_t text, char *why, size_t size) {
    char *chunk = arena_printf(&bundle->arena, "@scripts/%.*s", (int)file.len, file.ptr);
    if (!chunk) return ERR_NO_MEMORY;
    buf_t code;
    buf_create(&code);
    int err = compile(text, chunk, &code, why, size);
    if (!err) err = keep(bundle, file, chunk, &code);
    buf_destroy(&code);
    return err;
}

static bool is_script(span_t name) {
    return name.len > 4 && memcmp(name.ptr + name.len - 4, ".lua", 4) == 0;
}

static bundle_t *bundle_new(void) {
    bundle_t *bundle = calloc(1, sizeof *bundle);
    if (!bundle) return NULL;
    arena_create(&bundle->arena);
    map_create(&bundle->modules);
    return bundle;
}

static int fill(bundle_t *bundle, yyjson_val *root, char *why, size_t size) {
    const char *hash = yyjson_get_str(yyjson_obj_get(root, "hash"));
    yyjson_val *files = yyjson_obj_get(root, "files");
    if (!hash || !yyjson_is_obj(files)) {
        snprintf(why, size, "the edition file has no hash or no files");
        return ERR_BAD_JSON;
    }
    snprintf(bundle->hash, sizeof bundle->hash, "%s", hash);
    size_t at, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(files, at, count, key, value) {
        span_t name = {yyjson_get_str(key), yyjson_get_len(key)};
        if (!is_script(name) || !yyjson_is_str(value)) continue;
        int err =
            add(bundle, name, (span_t){yyjson_get_str(value), yyjson_get_len(value)}, why, size);
        if (err) return err;
    }
    return 0;
}

int bundle_read(const char *path, bundle_t **out, char *why, size_t size) {
    buf_t text;
    buf_create(&text);
    int err = files_read(path, BUNDLE_MAX, &text, why, size);
    yyjson_doc *doc = err ? NULL : yyjson_read(text.ptr, text.len, 0);
    bundle_t *bundle = bundle_new();
    if (!err && !bundle) err = ERR_NO_MEMORY;
    if (!err && !doc) {
        snprintf(why, size, "%s is not JSON", path);
        err = ERR_BAD_JSON;
    }
    if (!err) err = fill(bundle, yyjson_doc_get_root(doc), why, size);
    yyjson_doc_free(doc);
    buf_destroy(&text);
    if (err) bundle_delete(bundle);
    *out = err ? NULL : bundle;
    return err;
}

typedef struct walk {
    bundle_t *bundle;
    const char *folder;
    char *why;
    size_t size;
} walk_t;

static int add_file(void *data, const char *path, const char *relative) {
    walk_t *walk = data;
    if (!is_script(span_of(relative))) return 0;
    buf_t text;
    buf_create(&text);
    int err = files_read(path, SCRIPT_MAX, &text, walk->why, walk->size);
    if (!err) err = add(walk->bundle, span_of(relative), buf_view(&text), walk->why, walk->size);
    buf_destroy(&text);
    return err;
}

int bundle_read_folder(const char *folder, bundle_t **out, char *why, size_t size) {
    *out = NULL;
    bundle_t *bundle = bundle_new();
    if (!bundle) return ERR_NO_MEMORY;
    walk_t walk = {bundle, folder, why, size};
    int err = files_walk(folder, add_file, &walk, why, size);
    if (err)
        bundle_delete(bundle);
    else
        *out = bundle;
    return err;
}
