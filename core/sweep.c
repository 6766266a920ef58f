/* sweep.c: fingerprints the sources and compares with the last time. */
#include "sweep.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"
#include "base/map.h"

#define DEPTH_MAX 16

typedef struct mark {
    uint64_t print;
    uint64_t round; /* the last round that saw it */
} mark_t;

struct sweep {
    const char *scripts, *tenants;
    source_cb cb;
    void *data;
    map_t marks; /* source → mark_t */
    uint64_t round;
};

/* A sum, because a folder's order may differ from one reading to the next. */
static uint64_t print_entry(int folder, const char *below, const char *name, int depth);

static uint64_t print_folder(int fd, const char *below, int depth) {
    DIR *folder = fd < 0 || depth > DEPTH_MAX ? NULL : fdopendir(fd);
    if (!folder) {
        if (fd >= 0) close(fd);
        return 0;
    }
    uint64_t sum = 1;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (source_ignores(entry->d_name)) continue;
        sum += print_entry(dirfd(folder), below, entry->d_name, depth);
    }
    closedir(folder);
    return sum;
}

static uint64_t print_entry(int folder, const char *below, const char *name, int depth) {
    char path[2048], line[2200];
    struct stat info;
    if (fstatat(folder, name, &info, 0) != 0) return 0;
    snprintf(path, sizeof(path), "%s/%s", below, name);
    if (S_ISDIR(info.st_mode)) {
        int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return print_folder(fd, path, depth + 1);
    }
    int len = snprintf(line, sizeof(line), "%s %lld.%09ld %lld %llu", path,
        (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec, (long long)info.st_size,
        (unsigned long long)info.st_ino);
    return map_hash((span_t){line, (size_t)len});
}

static void compare(sweep_t *sweep, const char *source, uint64_t print) {
    mark_t *mark = map_get(&sweep->marks, span_of(source));
    bool changed = !mark || mark->print != print;
    if (!mark) {
        mark = malloc(sizeof(*mark));
        if (!mark) return;
        if (map_set(&sweep->marks, span_of(source), mark, NULL) != 0) {
            free(mark);
            return;
        }
    }
    *mark = (mark_t){print, sweep->round};
    if (changed && sweep->round > 1) sweep->cb(sweep->data, source);
}

static void on_tenant(void *data, const char *source) {
    sweep_t *sweep = data;
    char path[2048];
    snprintf(path, sizeof(path), "%s/%s", sweep->tenants, source_slug(source));
    compare(sweep, source, print_folder(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "", 0));
}

/* One source that this round did not see, forgotten and reported; false when there is none left. */
static bool report_gone(sweep_t *sweep) {
    size_t at = 0;
    span_t source;
    void *found;
    while (map_next(&sweep->marks, &at, &source, &found)) {
        if (((mark_t *)found)->round == sweep->round) continue;
        char name[SOURCE_MAX];
        snprintf(name, sizeof(name), "%.*s", (int)source.len, source.ptr);
        free(map_remove(&sweep->marks, span_of(name)));
        sweep->cb(sweep->data, name);
        return true;
    }
    return false;
}

void sweep_run(sweep_t *sweep) {
    sweep->round++;
    int fd = open(sweep->scripts, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    compare(sweep, SOURCE_SCRIPTS, print_folder(fd, "", 0));
    source_list(sweep->tenants, on_tenant, sweep);
    while (report_gone(sweep)) {
    }
}

sweep_t *sweep_new(const char *scripts, const char *tenants, source_cb cb, void *data) {
    sweep_t *sweep = calloc(1, sizeof(*sweep));
    if (!sweep) return NULL;
    sweep->scripts = scripts;
    sweep->tenants = tenants;
    sweep->cb = cb;
    sweep->data = data;
    map_create(&sweep->marks);
    sweep_run(sweep);
    return sweep;
}

void sweep_delete(sweep_t *sweep) {
    size_t at = 0;
    span_t source;
    void *mark;
    while (map_next(&sweep->marks, &at, &source, &mark)) {
        free(mark);
    }
    map_destroy(&sweep->marks);
    free(sweep);
}
