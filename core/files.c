/* files.c: reads a file whole and walks a folder in sorted order. */
#include "files.h"
#include "base/err.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVELS_MAX 16

static int failed(const char *path, char *why, size_t size) {
    int code = errno;
    snprintf(why, size, "%s: %s", path, strerror(code));
    return code == ENOENT ? ERR_NOT_FOUND : -code;
}

static int read_all(int fd, const char *path, size_t max, buf_t *out, char *why, size_t size) {
    size_t start = out->len;
    for (;;) {
        char *room = buf_reserve(out, 65536);
        if (!room) return ERR_NO_MEMORY;
        ssize_t got = read(fd, room, 65536);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed(path, why, size);
        if (got == 0) return 0;
        out->len += (size_t)got;
        if (out->len - start > max) {
            snprintf(why, size, "%s is larger than %zu bytes", path, max);
            return ERR_TOO_LARGE;
        }
    }
}

int files_read(const char *path, size_t max, buf_t *out, char *why, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failed(path, why, size);
    int err = read_all(fd, path, max, out, why, size);
    close(fd);
    return err;
}

typedef struct walk {
    int (*fn)(void *data, const char *path, const char *relative);
    void *data;
    char *why;
    size_t size;
    size_t root; /* length of the folder's path and its slash */
} walk_t;

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int walk_folder(walk_t *walk, const char *folder, int level);

static int visit(walk_t *walk, const char *path, int level) {
    struct stat status;
    if (stat(path, &status) != 0) return 0; /* gone since it was listed */
    if (S_ISDIR(status.st_mode)) return walk_folder(walk, path, level + 1);
    return S_ISREG(status.st_mode) ? walk->fn(walk->data, path, path + walk->root) : 0;
}

static int walk_folder(walk_t *walk, const char *folder, int level) {
    struct dirent **entries;
    if (level > LEVELS_MAX) return 0;
    int count = scandir(folder, &entries, visible, alphasort);
    if (count < 0) return failed(folder, walk->why, walk->size);
    int err = 0;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        int len = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (!err && len < (int)sizeof path) err = visit(walk, path, level);
        free(entries[i]);
    }
    free(entries);
    return err;
}

int files_walk(const char *folder, int (*fn)(void *data, const char *path, const char *relative),
    void *data, char *why, size_t size) {
    walk_t walk = {fn, data, why, size, strlen(folder) + 1};
    return walk_folder(&walk, folder, 0);
}
