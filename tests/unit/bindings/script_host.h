/* script_host.h: runs Lua in a trusted VM with the tree's own scripts and the module sqlite, for the bindings'
   tests. */
#ifndef PERIGEE_TESTS_SCRIPT_HOST_H
#define PERIGEE_TESTS_SCRIPT_HOST_H
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lua/signal.h"
#include "lua/task.h"
#include "bucket_lua.h"
#include "cart.h"
#include "sqlite/sqlite_cache.h"
#include "sqlite/sqlite_lua.h"

/* One VM with its own engine, so that two hosts on one folder are as two workers. */
typedef struct host {
    loop_t *loop;
    vm_t *vm;
    cache_ops_t cache;
    char *sources[400]; /* texts and names of the modules, freed with the VM */
    size_t count;
    bool over;
    double code; /* what the script returned */
    char error[2000];
} host_t;

/* The tree's root, from where this file was compiled. */
static inline void host_path(char *out, size_t size, const char *file) {
    const char *end = strstr(__FILE__, "tests/unit/");
    snprintf(out, size, "%.*s%s", (int)(end - __FILE__), __FILE__, file);
}

static inline char *host_read(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *text = calloc(1, 1 << 18);
    *len = fread(text, 1, (1 << 18) - 1, file);
    fclose(file);
    return text;
}

static inline bool host_load(void *data, const char *module, vm_source_t *out) {
    static const char *const SHAPES[] = {"scripts/%s.lua", "scripts/%s/init.lua"};
    host_t *host = data;
    for (int i = 0; i < 2; i++) {
        char slashed[200], file[256], path[1024];
        snprintf(slashed, sizeof slashed, "%s", module);
        for (char *c = slashed; *c; c++)
            if (*c == '.') *c = '/';
        snprintf(file, sizeof file, SHAPES[i], slashed);
        host_path(path, sizeof path, file);
        char *text = host_read(path, &out->len);
        if (!text) continue;
        char *name = malloc(300);
        snprintf(name, 300, "@%s", file);
        host->sources[host->count++] = text;
        host->sources[host->count++] = name;
        out->text = text;
        out->name = name;
        return true;
    }
    return false;
}

/* What core/modules.c gives every trusted VM. */
static inline int host_preload(lua_State *L) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, luaopen_signal);
    lua_setfield(L, -2, "signal");
    return 0;
}

static inline void host_open(host_t *host, loop_t *loop, const sqlite_options_t *options) {
    memset(host, 0, sizeof *host);
    host->loop = loop;
    host->vm = vm_new_trusted(loop, host_load, host);
    sqlite_t *engine = sqlite_new(loop, options);
    if (!host->vm || !engine || sqlite_lua_open(host->vm, engine)) abort();
    host->cache = sqlite_cache_ops(engine);
    if (cart_open(host->vm, &host->cache) || bucket_lua_open(host->vm, &host->cache)) abort();
    if (vm_protect(host->vm, host_preload, NULL, NULL, 0)) abort();
}

static inline void host_close(host_t *host) {
    vm_delete_trusted(host->vm);
    while (host->count > 0)
        free(host->sources[--host->count]);
}

static inline void host_done(task_t *task, task_end_t end, lua_State *L, int n, const char *error) {
    host_t *host = task_user(task);
    host->over = true;
    host->code = end == TASK_OK && n > 0 ? lua_tonumber(L, -1) : end == TASK_OK ? 0 : -1;
    snprintf(host->error, sizeof host->error, "%s", error ? error : "");
}

static inline int host_push(lua_State *L, void *data) {
    const char *const *chunk = data;
    if (luaL_loadbuffer(L, chunk[0], strlen(chunk[0]), chunk[1]) != 0) lua_error(L);
    return 0;
}

/* Starts the text as a task, which lasts until host->over. */
static inline task_t *host_start(host_t *host, const char *text, const char *name) {
    static const task_ops_t OPS = {.done = host_done};
    const char *chunk[] = {text, name};
    bool alive = false;
    task_options_t options = {.vm = host->vm, .ops = &OPS, .user = host};
    host->over = false;
    host->error[0] = '\0';
    task_t *task = task_start(&options, host_push, chunk, &alive);
    if (!task) { /* out of memory: done is not called */
        host->over = true;
        host->code = -1;
    }
    return alive ? task : NULL;
}

static inline void host_wait(host_t *host) {
    while (!host->over)
        loop_turn(host->loop, 1000);
}

static inline double host_run(host_t *host, const char *text) {
    host_start(host, text, "=test");
    host_wait(host);
    if (host->error[0]) fprintf(stderr, "%s\n", host->error);
    return host->code;
}

/* A new folder for a test, and its end. */
static inline void host_folder(char *out, size_t size) {
    const char *base = getenv("TMPDIR");
    snprintf(out, size, "%s/perigee-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(out)) abort();
}

static inline int host_remove(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void host_folder_remove(const char *path) {
    nftw(path, host_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
