/* engine.c: opens the files of a data folder by name and closes them with the loop. */
#include "sqlite/engine.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/map.h"

#define NAME_MOST 12
#define WAIT_MS 2000

struct sqlite {
    loop_t *loop;
    char *data_dir;
    sqlite_options_t options;
    map_t files; /* name → db_t */
};

static void close_all(void *data) {
    sqlite_t *engine = data;
    size_t at = 0;
    span_t name;
    void *db;
    while (map_next(&engine->files, &at, &name, &db))
        db_delete(db);
    map_destroy(&engine->files);
    free(engine->data_dir);
    free(engine);
}

sqlite_t *sqlite_new(loop_t *loop, const sqlite_options_t *options) {
    sqlite_t *engine = calloc(1, sizeof *engine);
    if (!engine) return NULL;
    engine->loop = loop;
    engine->options = *options;
    if (engine->options.readers == 0) engine->options.readers = 2;
    if (engine->options.bound == 0) engine->options.bound = 1000;
    if (engine->options.max_bytes == 0) engine->options.max_bytes = 16 << 20;
    map_create(&engine->files);
    engine->data_dir = strdup(options->data_dir);
    if (engine->data_dir && loop_exit_add(loop, close_all, engine) == 0) return engine;
    close_all(engine);
    return NULL;
}

/* Names become file names, so nothing that could leave the folder is allowed. */
static bool is_name(span_t name) {
    if (name.len == 0 || name.len > NAME_MOST) return false;
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_", name.ptr[i]) || !name.ptr[i])
            return false;
    return true;
}

static db_t *open_file(const sqlite_t *engine, span_t name, bool durable) {
    char plain[NAME_MOST + 1];
    db_t *db = NULL;
    buf_t path;
    snprintf(plain, sizeof plain, "%.*s", (int)name.len, name.ptr);
    buf_create(&path);
    buf_printf(&path, "%s/%s.db", engine->data_dir, plain);
    buf_char(&path, '\0');
    if (!path.failed)
        db = db_new(&(db_options_t){.loop = engine->loop,
            .path = path.ptr,
            .name = plain,
            .readers = engine->options.readers,
            .bound = engine->options.bound,
            .durable = durable,
            .busy_ms = engine->options.busy_ms});
    buf_destroy(&path);
    return db;
}

int sqlite_open(sqlite_t *engine, span_t name, bool durable, db_t **out) {
    if (!is_name(name)) return ERR_INVALID;
    *out = map_get(&engine->files, name);
    if (*out) return 0;
    db_t *db = open_file(engine, name, durable);
    if (!db) return ERR_NO_MEMORY;
    if (map_set(&engine->files, name, db, NULL)) {
        db_delete(db);
        return ERR_NO_MEMORY;
    }
    *out = db;
    return 0;
}

int sqlite_cache_db(sqlite_t *engine, db_t **out) {
    return sqlite_open(engine, SPAN("cache"), false, out);
}

size_t sqlite_max_bytes(const sqlite_t *engine) {
    return engine->options.max_bytes;
}

loop_t *sqlite_loop(const sqlite_t *engine) {
    return engine->loop;
}

uint64_t sqlite_wait_ms(const sqlite_t *engine) {
    return engine->options.busy_ms ? engine->options.busy_ms : WAIT_MS;
}
