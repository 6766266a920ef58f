/* snapshot.c: walks the scripts folder and packs it into one edition. */
#include "snapshot.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/err.h"
#include "base/file.h"
#include "base/ident.h"

#define DEPTH_MAX 16

/* One walk: what has been found so far, and why it had to stop. */
typedef struct walk {
    snapshot_t *snapshot;
    size_t bytes, cap;
    char *why;
    size_t size;
} walk_t;

static int stop(walk_t *walk, int err, const char *path, const char *reason) {
    snprintf(walk->why, walk->size, "%s: %s", path, reason);
    return err;
}

static int grow(walk_t *walk) {
    snapshot_t *snapshot = walk->snapshot;
    if (snapshot->count < walk->cap) return 0;
    size_t cap = walk->cap ? walk->cap * 2 : 64;
    snapshot_file_t *files = arena_alloc(&snapshot->arena, cap * sizeof(*files));
    if (!files) return ERR_NO_MEMORY;
    if (snapshot->count) memcpy(files, snapshot->files, snapshot->count * sizeof(*files));
    snapshot->files = files;
    walk->cap = cap;
    return 0;
}

static int keep_text(walk_t *walk, const char *path, const buf_t *text, span_t *out) {
    walk->bytes += text->len;
    *out = (span_t){arena_dup(&walk->snapshot->arena, text->ptr, text->len), text->len};
    if (!out->ptr) return stop(walk, ERR_NO_MEMORY, path, "out of memory");
    /* The edition travels as JSON, which holds nothing but UTF-8. */
    return span_is_utf8(*out) ? 0 : stop(walk, ERR_INVALID, path, "is not UTF-8 text");
}

static int read_text(walk_t *walk, const char *path, span_t *out) {
    buf_t text;
    buf_create(&text);
    int err = file_read(path, SNAPSHOT_BYTES_MAX - walk->bytes, &text, walk->why, walk->size);
    if (!err) err = keep_text(walk, path, &text, out);
    buf_destroy(&text);
    return err;
}

static int add_file(walk_t *walk, const char *path, const char *name) {
    if (walk->snapshot->count == SNAPSHOT_FILES_MAX)
        return stop(walk, ERR_TOO_LARGE, path, "too many scripts");
    if (grow(walk) != 0) return stop(walk, ERR_NO_MEMORY, path, "out of memory");
    snapshot_file_t *file = &walk->snapshot->files[walk->snapshot->count];
    char *copy = arena_dup(&walk->snapshot->arena, name, strlen(name));
    if (!copy) return stop(walk, ERR_NO_MEMORY, path, "out of memory");
    file->name = span_of(copy);
    int err = read_text(walk, path, &file->text);
    if (!err) walk->snapshot->count++;
    return err == ERR_NOT_FOUND ? 0 : err; /* it vanished just now */
}

static int walk_folder(walk_t *walk, const char *path, const char *name, int depth);

static bool is_lua(const char *name) {
    size_t len = strlen(name);
    return len > 4 && strcmp(name + len - 4, ".lua") == 0;
}

/* A file that vanishes between readdir and here belongs to the next snapshot. */
static int visit(walk_t *walk, const char *folder, const char *name, const char *entry, int depth) {
    char path[2048], below[1024];
    struct stat info;
    snprintf(path, sizeof(path), "%s/%s", folder, entry);
    snprintf(below, sizeof(below), "%s%s%s", name, *name ? "/" : "", entry);
    if (stat(path, &info) != 0) return 0;
    if (S_ISDIR(info.st_mode)) return walk_folder(walk, path, below, depth + 1);
    if (!S_ISREG(info.st_mode) || !is_lua(entry)) return 0;
    return add_file(walk, path, below);
}

static int walk_folder(walk_t *walk, const char *path, const char *name, int depth) {
    if (depth > DEPTH_MAX) return stop(walk, ERR_TOO_LARGE, path, "folders nest too deep");
    DIR *folder = opendir(path);
    if (!folder) {
        return stop(walk, errno == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE, path, strerror(errno));
    }
    int err = 0;
    struct dirent *entry;
    while (!err && (entry = readdir(folder))) {
        if (entry->d_name[0] != '.') err = visit(walk, path, name, entry->d_name, depth);
    }
    closedir(folder);
    return err;
}

static int by_name(const void *a, const void *b) {
    const snapshot_file_t *left = a, *right = b;
    return strcmp(left->name.ptr, right->name.ptr);
}

static bool has_main(const snapshot_t *snapshot) {
    for (size_t i = 0; i < snapshot->count; i++) {
        if (span_eq(snapshot->files[i].name, SPAN("main.lua"))) return true;
    }
    return false;
}

/* Each part ends with a NUL, which neither names nor Lua texts that parse contain: no two sets hash alike. */
static void hash_files(snapshot_t *snapshot) {
    ident_hash_t hash;
    ident_hash_start(&hash);
    for (size_t i = 0; i < snapshot->count; i++) {
        ident_hash_add(
            &hash, (span_t){snapshot->files[i].name.ptr, snapshot->files[i].name.len + 1});
        ident_hash_add(
            &hash, (span_t){snapshot->files[i].text.ptr, snapshot->files[i].text.len + 1});
    }
    ident_hash_end(&hash, snapshot->hash);
}

int snapshot_take(snapshot_t *snapshot, const char *folder, char *why, size_t size) {
    memset(snapshot, 0, sizeof(*snapshot));
    arena_create(&snapshot->arena);
    walk_t walk = {.snapshot = snapshot, .why = why, .size = size};
    int err = walk_folder(&walk, folder, "", 0);
    if (!err && !has_main(snapshot)) {
        err = stop(&walk, ERR_NOT_FOUND, folder, "there is no main.lua in this folder");
    }
    if (err) {
        arena_destroy(&snapshot->arena);
        return err;
    }
    qsort(snapshot->files, snapshot->count, sizeof(*snapshot->files), by_name);
    hash_files(snapshot);
    return 0;
}

void snapshot_destroy(snapshot_t *snapshot) {
    arena_destroy(&snapshot->arena);
    snapshot->count = 0;
}

void snapshot_write(const snapshot_t *snapshot, buf_t *out) {
    buf_printf(out, "{\"hash\":\"%s\",\"files\":{", snapshot->hash);
    for (size_t i = 0; i < snapshot->count; i++) {
        if (i > 0) buf_char(out, ',');
        buf_json(out, snapshot->files[i].name);
        buf_char(out, ':');
        buf_json(out, snapshot->files[i].text);
    }
    buf_text(out, "}}");
}
