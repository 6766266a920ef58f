/* snapshot.h: all of the trusted scripts at one moment, as the edition that workers build from. */
#ifndef PERIGEE_SNAPSHOT_H
#define PERIGEE_SNAPSHOT_H
#include "base/arena.h"
#include "base/bytes.h"

#define SNAPSHOT_FILES_MAX 4096
#define SNAPSHOT_BYTES_MAX ((size_t)32 * 1024 * 1024)

typedef struct snapshot_file {
    span_t name; /* "api/products.lua" */
    span_t text;
} snapshot_file_t;

typedef struct snapshot {
    arena_t arena;
    snapshot_file_t *files; /* sorted by name */
    size_t count;
    char hash[65]; /* SHA-256 over names and texts */
} snapshot_t;

/* Reads every *.lua below the folder; follows symbolic links; leaves out names that begin with a dot. ERR_NOT_FOUND
   when there is no folder or no main.lua in it, ERR_TOO_LARGE, ERR_UNAVAILABLE, ERR_INVALID (text that is not
   UTF-8) or a libuv code with a sentence in why. snapshot_destroy is needed only after 0. */
int snapshot_take(snapshot_t *snapshot, const char *folder, char *why, size_t size);
void snapshot_destroy(snapshot_t *snapshot);
/* {"hash":…,"files":{name:text,…}}. */
void snapshot_write(const snapshot_t *snapshot, buf_t *out);

#endif
