/* change.c: names a swap of a shop's rules by what changed and when its files did. */
#include "change.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/bytes.h"
#include "base/ident.h"
#include "poller.h"

typedef struct timespec stamp_t;

static void take_newer(stamp_t *newest, const stamp_t *other) {
    bool newer = other->tv_sec != newest->tv_sec ? other->tv_sec > newest->tv_sec
                                                 : other->tv_nsec > newest->tv_nsec;
    if (newer) *newest = *other;
}

/* When the folder or a file in it was last written, moved or taken away. */
static void read_folder(const char *tenants, const char *name, stamp_t *newest) {
    char path[700];
    struct stat about;
    snprintf(path, sizeof path, "%s/%s", tenants, name);
    DIR *folder = opendir(path);
    if (!folder) return;
    if (fstat(dirfd(folder), &about) == 0) take_newer(newest, &about.st_ctim);
    for (struct dirent *entry; (entry = readdir(folder));) {
        bool hidden = entry->d_name[0] == '.';
        if (!hidden && fstatat(dirfd(folder), entry->d_name, &about, 0) == 0)
            take_newer(newest, &about.st_ctim);
    }
    closedir(folder);
}

/* The digest's first 32 digits, written as a UUID of the version for such. */
static void put_uuid(const char *digest, char out[37]) {
    snprintf(out, 37, "%.8s-%.4s-8%.3s-a%.3s-%.12s", digest, digest + 8, digest + 12, digest + 15,
        digest + 18);
}

void change_make(change_t *change, const char *tenants, const char *slug, const char *before,
    const char *after) {
    memset(change, 0, sizeof *change);
    if (strcmp(before, after) == 0) return;
    stamp_t newest = {0};
    char text[400], digest[65];
    read_folder(tenants, slug, &newest);
    read_folder(tenants, "_default", &newest);
    snprintf(text, sizeof text, "%s %s %s %lld.%09ld", slug, before, after,
        (long long)newest.tv_sec, newest.tv_nsec);
    ident_sha256(span_of(text), digest);
    put_uuid(digest, change->id);
    snprintf(change->before, sizeof change->before, "%s", before);
    snprintf(change->after, sizeof change->after, "%s", after);
    change->at_ms = poller_now();
}
