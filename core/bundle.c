/* bundle.c: turns script texts into bytecode in a scratch state, so that a worker's loop never runs the compiler.
   */
#include "bundle.h"
#include "base/err.h"
#include "base/file.h"
#include "snapshot.h"
#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

#define BUNDLE_MAX (64 * 1024 * 1024)

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
        const char *message = lua_tostring(L, -1), *file = name + 1;
        bool named = message && strncmp(message, file, strlen(file)) == 0;
        snprintf(why, size, "%s%s%s", named ? "" : file, named ? "" : ": ",
            message ? message : "does not parse");
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

static int parse(span_t text, bundle_t **out, char *why, size_t size) {
    yyjson_doc *doc = yyjson_read(text.ptr, text.len, 0);
    if (!doc) {
        snprintf(why, size, "the edition file is not JSON");
        return ERR_BAD_JSON;
    }
    bundle_t *bundle = bundle_new();
    snprintf(why, size, "out of memory");
    int err = bundle ? fill(bundle, yyjson_doc_get_root(doc), why, size) : ERR_NO_MEMORY;
    yyjson_doc_free(doc);
    if (err)
        bundle_delete(bundle);
    else
        *out = bundle;
    return err;
}

int bundle_read(const char *path, bundle_t **out, char *why, size_t size) {
    buf_t text;
    buf_create(&text);
    *out = NULL;
    int err = file_read(path, BUNDLE_MAX, &text, why, size);
    if (!err) err = parse(buf_view(&text), out, why, size);
    buf_destroy(&text);
    return err;
}

static int fill_from(bundle_t *bundle, const snapshot_t *snapshot, char *why, size_t size) {
    int err = 0;
    for (size_t i = 0; i < snapshot->count && !err; i++)
        err = add(bundle, snapshot->files[i].name, snapshot->files[i].text, why, size);
    memcpy(bundle->hash, snapshot->hash, sizeof bundle->hash);
    return err;
}

int bundle_read_folder(const char *folder, bundle_t **out, char *why, size_t size) {
    snapshot_t snapshot;
    *out = NULL;
    int err = snapshot_take(&snapshot, folder, why, size);
    if (err) return err;
    bundle_t *bundle = bundle_new();
    snprintf(why, size, "out of memory");
    err = bundle ? fill_from(bundle, &snapshot, why, size) : ERR_NO_MEMORY;
    snapshot_destroy(&snapshot);
    if (err)
        bundle_delete(bundle);
    else
        *out = bundle;
    return err;
}
