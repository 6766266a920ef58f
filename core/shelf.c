/* shelf.c: keeps edition files and the list of those that passed. */
#include "shelf.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"

/* Names the build: an edition is only known to pass the checks of the program that made them. */
static void name_build(char out[80]) {
    struct stat self = {0};
    stat("/proc/self/exe", &self);
    snprintf(out, 80, "perigee %llx %llx %llx\n", (unsigned long long)self.st_ino,
        (unsigned long long)self.st_size, (unsigned long long)self.st_mtime);
}

static int keep(shelf_t *shelf, span_t source, const shelf_mark_t *mark) {
    shelf_mark_t *copy = malloc(sizeof(*copy));
    if (!copy) return ERR_NO_MEMORY;
    *copy = *mark;
    void *old = NULL;
    int err = map_set(&shelf->passed, source, copy, &old);
    free(err ? copy : old);
    return err;
}

static void read_list(shelf_t *shelf, FILE *file) {
    char line[512], build[80], source[256];
    name_build(build);
    if (!fgets(line, sizeof(line), file) || strcmp(line, build) != 0) return;
    while (fgets(line, sizeof(line), file)) {
        shelf_mark_t mark;
        if (sscanf(line, "%64s %64s %255s", mark.key, mark.hash, source) != 3) continue;
        if (keep(shelf, span_of(source), &mark) != 0) return;
    }
}

/* Writes text beside the path and moves it there, so that a reader never sees half a file. */
static int write_whole(const char *path, span_t text) {
    char beside[SHELF_PATH_MAX + 32];
    snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid());
    FILE *file = fopen(beside, "we");
    if (!file) return -errno;
    bool bad = fwrite(text.ptr, 1, text.len, file) != text.len;
    bad = fclose(file) != 0 || bad;
    if (!bad && rename(beside, path) == 0) return 0;
    int err = errno ? -errno : -EIO;
    unlink(beside);
    return err;
}

/* The list grows by a line per edition; each start writes it afresh. */
static int compact(const shelf_t *shelf) {
    buf_t text;
    buf_create(&text);
    char build[80];
    name_build(build);
    buf_text(&text, build);
    size_t at = 0;
    span_t source;
    void *found;
    while (map_next(&shelf->passed, &at, &source, &found)) {
        const shelf_mark_t *mark = found;
        buf_printf(&text, "%s %s %.*s\n", mark->key, mark->hash, (int)source.len, source.ptr);
    }
    int err = text.failed ? ERR_NO_MEMORY : write_whole(shelf->list, buf_view(&text));
    buf_destroy(&text);
    return err < 0 ? ERR_UNAVAILABLE : err;
}

int shelf_create(shelf_t *shelf, const char *folder) {
    snprintf(shelf->list, sizeof(shelf->list), "%s/checked", folder);
    snprintf(shelf->editions, sizeof(shelf->editions), "%s/editions", folder);
    map_create(&shelf->passed);
    FILE *file = fopen(shelf->list, "re");
    if (file) {
        read_list(shelf, file);
        fclose(file);
    }
    int err = compact(shelf);
    if (err) shelf_destroy(shelf);
    return err;
}

void shelf_destroy(shelf_t *shelf) {
    size_t at = 0;
    span_t source;
    void *mark;
    while (map_next(&shelf->passed, &at, &source, &mark)) {
        free(mark);
    }
    map_destroy(&shelf->passed);
}

const shelf_mark_t *shelf_get(const shelf_t *shelf, const char *source) {
    return map_get(&shelf->passed, span_of(source));
}

int shelf_pass(shelf_t *shelf, const char *source, const shelf_mark_t *mark) {
    const shelf_mark_t *known = shelf_get(shelf, source);
    if (known && strcmp(known->key, mark->key) == 0) return 0;
    int err = keep(shelf, span_of(source), mark);
    if (err) return err;
    FILE *file = fopen(shelf->list, "ae");
    if (!file) return ERR_UNAVAILABLE;
    bool bad = fprintf(file, "%s %s %s\n", mark->key, mark->hash, source) < 0;
    bad = fclose(file) != 0 || bad;
    return bad ? ERR_UNAVAILABLE : 0;
}

void shelf_path(
    const shelf_t *shelf, const char *source, const char *key, char out[SHELF_PATH_MAX]) {
    int at = snprintf(out, SHELF_PATH_MAX, "%s/", shelf->editions);
    snprintf(out + at, (size_t)(SHELF_PATH_MAX - at), "%.80s.%.64s.json", source, key);
    for (char *c = out + at; *c; c++) {
        if (*c == '/') *c = '.';
    }
}

int shelf_store(const shelf_t *shelf, const char *source, const char *key, span_t text) {
    char path[SHELF_PATH_MAX];
    shelf_path(shelf, source, key, path);
    return access(path, R_OK) == 0 ? 0 : write_whole(path, text);
}

static bool is_wanted(const shelf_t *shelf, const char *name) {
    size_t at = 0;
    span_t source;
    void *mark;
    while (map_next(&shelf->passed, &at, &source, &mark)) {
        if (strstr(name, ((shelf_mark_t *)mark)->key)) return true;
    }
    return false;
}

void shelf_prune(const shelf_t *shelf) {
    DIR *folder = opendir(shelf->editions);
    if (!folder) return;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.' || is_wanted(shelf, entry->d_name)) continue;
        unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
}
