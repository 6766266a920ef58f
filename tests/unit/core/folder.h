/* folder.h: a temporary folder for a test, with files written and removed in it. */
#ifndef PERIGEE_TEST_FOLDER_H
#define PERIGEE_TEST_FOLDER_H
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void folder_create(char path[256]) {
    const char *base = getenv("TMPDIR");
    snprintf(path, 256, "%s/perigee-unit-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
}

static inline int folder_unlink(
    const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}

static inline void folder_destroy(const char *path) {
    nftw(path, folder_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void folder_path(char out[512], const char *folder, const char *name) {
    snprintf(out, 512, "%.250s/%.250s", folder, name);
}

static inline void folder_mkdir(const char *folder, const char *name) {
    char path[512];
    folder_path(path, folder, name);
    assert_int_equal(mkdir(path, 0777), 0);
}

static inline void folder_write(const char *folder, const char *name, const char *text) {
    char path[512];
    folder_path(path, folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static inline void folder_unlink_file(const char *folder, const char *name) {
    char path[512];
    folder_path(path, folder, name);
    assert_int_equal(unlink(path), 0);
}

static inline void folder_rename(const char *folder, const char *from, const char *to) {
    char old[512], new[512];
    folder_path(old, folder, from);
    folder_path(new, folder, to);
    assert_int_equal(rename(old, new), 0);
}

#endif
