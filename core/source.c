/* source.c: names the sources of a server and lists the tenants' folders. */
#include "source.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "tenant/edition.h"

#define SLUG_MAX 63

const char *source_slug(const char *source) {
    size_t len = strlen(SOURCE_TENANTS);
    return strncmp(source, SOURCE_TENANTS, len) == 0 ? source + len : NULL;
}

bool source_of_path(const char *below, char out[SOURCE_MAX]) {
    size_t len = strcspn(below, "/");
    if (len == 0 || len > SLUG_MAX) return false;
    snprintf(out, SOURCE_MAX, SOURCE_TENANTS "%.*s", (int)len, below);
    return edition_is_slug(source_slug(out));
}

static bool ends(const char *name, const char *ending) {
    size_t len = strlen(name), tail = strlen(ending);
    return len >= tail && strcmp(name + len - tail, ending) == 0;
}

bool source_ignores(const char *name) {
    return name[0] == '.' || name[0] == '#' || ends(name, "~") || ends(name, ".swp") ||
           ends(name, ".swx") || ends(name, ".bak") || ends(name, ".tmp") || ends(name, ".orig");
}

int source_list(const char *tenants_dir, source_cb cb, void *data) {
    DIR *folder = opendir(tenants_dir);
    if (!folder) return -errno;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        struct stat info;
        char source[SOURCE_MAX];
        if (!edition_is_slug(entry->d_name) || !source_of_path(entry->d_name, source)) continue;
        if (fstatat(dirfd(folder), entry->d_name, &info, 0) != 0 || !S_ISDIR(info.st_mode))
            continue;
        cb(data, source);
    }
    closedir(folder);
    return 0;
}
