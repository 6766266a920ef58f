/* watch.c: keeps an inotify watch on every folder below two roots and names the source of each event. */
#include "watch.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DEPTH_MAX 16
#define PATH_BYTES 2048
#define MASK                                                                                       \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF |       \
        IN_MOVE_SELF | IN_ONLYDIR)

/* One watched folder: `below` is its path under the root, "" for the root itself. */
typedef struct spot {
    int wd;
    bool scripts;
    char *below;
} spot_t;

struct watch {
    int fd;
    bool blind;
    const char *scripts, *tenants;
    source_cb cb;
    void *data;
    spot_t *spots;
    size_t count, cap;
};

/* File systems whose other users' changes inotify does not see. */
static bool is_remote(const char *path) {
    static const unsigned long TYPES[] = {0x6969, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997,
        0x65735546, 0x00c36400, 0x5346414f, 0x786f4256, 0x6b414653};
    struct statfs info;
    if (statfs(path, &info) != 0) return true;
    for (size_t i = 0; i < sizeof(TYPES) / sizeof(*TYPES); i++) {
        if ((unsigned long)info.f_type == TYPES[i]) return true;
    }
    return false;
}

/* A link anywhere in the path can be pointed elsewhere without an event in the folder we watch. */
static bool has_link(const char *path) {
    char real[PATH_MAX], plain[PATH_MAX * 2] = "";
    if (!realpath(path, real)) return true;
    if (path[0] != '/' && getcwd(plain, PATH_MAX)) strcat(plain, "/");
    while (strncmp(path, "./", 2) == 0) {
        path += 2;
    }
    size_t at = strlen(plain);
    snprintf(plain + at, sizeof(plain) - at, "%s", path);
    at = strlen(plain);
    while (at > 1 && plain[at - 1] == '/') {
        plain[--at] = '\0';
    }
    return strcmp(plain, real) != 0;
}

static spot_t *spot_of(watch_t *watch, int wd) {
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->spots[i].wd == wd) return &watch->spots[i];
    }
    return NULL;
}

static void forget(watch_t *watch, spot_t *spot) {
    free(spot->below);
    *spot = watch->spots[--watch->count];
}

static bool keep(watch_t *watch, int wd, bool scripts, const char *below) {
    spot_t *known = spot_of(watch, wd);
    if (known) forget(watch, known);
    if (watch->count == watch->cap) {
        size_t cap = watch->cap ? watch->cap * 2 : 64;
        spot_t *spots = realloc(watch->spots, cap * sizeof(*spots));
        if (!spots) return false;
        watch->spots = spots;
        watch->cap = cap;
    }
    char *copy = strdup(below);
    if (!copy) return false;
    watch->spots[watch->count++] = (spot_t){wd, scripts, copy};
    return true;
}

/* "ROOT/below" or "below/name"; false when it does not fit, and then there is no such folder to watch. */
static bool join(char out[PATH_BYTES], const char *folder, const char *name) {
    const char *slash = *folder && *name ? "/" : "";
    int len = snprintf(out, PATH_BYTES, "%s%s%s", folder, slash, name);
    return len >= 0 && len < PATH_BYTES;
}

static bool path_of(const watch_t *watch, bool scripts, const char *below, char out[PATH_BYTES]) {
    return join(out, scripts ? watch->scripts : watch->tenants, below);
}

static void add(watch_t *watch, bool scripts, const char *below, int depth);

static void add_below(
    watch_t *watch, bool scripts, const char *below, const char *path, int depth) {
    DIR *folder = opendir(path);
    if (!folder) return;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        struct stat info;
        char deeper[PATH_BYTES];
        if (source_ignores(entry->d_name)) continue;
        if (fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (S_ISLNK(info.st_mode)) watch->blind = true;
        if (!S_ISDIR(info.st_mode)) continue;
        if (join(deeper, below, entry->d_name)) add(watch, scripts, deeper, depth + 1);
    }
    closedir(folder);
}

/* The watch comes before the scan: what is made in between is then seen twice rather than not at all. */
static void add(watch_t *watch, bool scripts, const char *below, int depth) {
    char path[PATH_BYTES];
    if (!path_of(watch, scripts, below, path)) return;
    int wd = inotify_add_watch(watch->fd, path, MASK);
    if (wd < 0 || depth > DEPTH_MAX || !keep(watch, wd, scripts, below)) {
        /* A folder that is gone again is no loss; anything else is. */
        if (wd >= 0 || errno != ENOENT || !*below) watch->blind = true;
        return;
    }
    add_below(watch, scripts, below, path, depth);
}

static void add_roots(watch_t *watch) {
    if (watch->fd < 0 || is_remote(watch->scripts) || is_remote(watch->tenants) ||
        has_link(watch->scripts) || has_link(watch->tenants)) {
        watch->blind = true;
    }
    if (watch->fd < 0) return;
    add(watch, true, "", 0);
    add(watch, false, "", 0);
}

watch_t *watch_new(const char *scripts, const char *tenants, source_cb cb, void *data) {
    watch_t *watch = calloc(1, sizeof(*watch));
    if (!watch) return NULL;
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watch->scripts = scripts;
    watch->tenants = tenants;
    watch->cb = cb;
    watch->data = data;
    add_roots(watch);
    return watch;
}

static void forget_all(watch_t *watch) {
    while (watch->count > 0) {
        forget(watch, &watch->spots[watch->count - 1]);
    }
}

void watch_delete(watch_t *watch) {
    if (watch->fd >= 0) close(watch->fd);
    forget_all(watch);
    free(watch->spots);
    free(watch);
}

int watch_fd(const watch_t *watch) {
    return watch->fd;
}

bool watch_blind(const watch_t *watch) {
    return watch->blind;
}

/* Events were lost, or a root was moved away: look at everything again with fresh watches. */
static void start_over(watch_t *watch) {
    forget_all(watch);
    if (watch->fd >= 0) close(watch->fd);
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    add_roots(watch);
    watch->cb(watch->data, NULL);
}

/* A folder that was moved away keeps its watches, which would report under its old name. */
static void drop_below(watch_t *watch, bool scripts, const char *below) {
    size_t len = strlen(below);
    for (size_t i = watch->count; i-- > 0;) {
        spot_t *spot = &watch->spots[i];
        bool under = strncmp(spot->below, below, len) == 0 &&
                     (spot->below[len] == '\0' || spot->below[len] == '/');
        if (spot->scripts != scripts || !under) continue;
        inotify_rm_watch(watch->fd, spot->wd);
        forget(watch, spot);
    }
}

static void report(watch_t *watch, bool scripts, const char *below) {
    char source[SOURCE_MAX];
    if (scripts)
        watch->cb(watch->data, SOURCE_SCRIPTS);
    else if (source_of_path(below, source))
        watch->cb(watch->data, source);
}

/* A file that has just been made is still empty, and its CLOSE_WRITE follows; but for a link none does. */
static bool is_whole(watch_t *watch, bool scripts, const char *below) {
    char path[PATH_BYTES];
    struct stat info;
    if (!path_of(watch, scripts, below, path) || lstat(path, &info) != 0) return false;
    if (S_ISLNK(info.st_mode)) watch->blind = true;
    return !S_ISREG(info.st_mode) || info.st_nlink > 1;
}

static void on_entry(watch_t *watch, const spot_t *spot, const struct inotify_event *event) {
    char below[PATH_BYTES];
    bool scripts = spot->scripts; /* adding watches may move the spots */
    if (source_ignores(event->name) || !join(below, spot->below, event->name)) return;
    if (event->mask & IN_ISDIR) {
        if (event->mask & (IN_CREATE | IN_MOVED_TO)) add(watch, scripts, below, 1);
        if (event->mask & IN_MOVED_FROM) drop_below(watch, scripts, below);
    } else if (event->mask & (IN_CREATE | IN_MOVED_TO)) {
        bool whole = is_whole(watch, scripts, below);
        if ((event->mask & IN_CREATE) && !whole) return;
    }
    report(watch, scripts, below);
}

/* False when the watches were made anew, so that what is left of the events means nothing. */
static bool on_event(watch_t *watch, const struct inotify_event *event) {
    if (event->mask & IN_Q_OVERFLOW) {
        start_over(watch);
        return false;
    }
    spot_t *spot = spot_of(watch, event->wd);
    if (!spot) return true;
    if (!*spot->below && (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))) {
        start_over(watch);
        return false;
    }
    if (event->mask & IN_IGNORED)
        forget(watch, spot);
    else if (event->len > 0)
        on_entry(watch, spot, event);
    return true;
}

void watch_read(watch_t *watch) {
    _Alignas(struct inotify_event) char events[16 * 1024];
    int fd = watch->fd;
    ssize_t got;
    while ((got = read(fd, events, sizeof(events))) > 0) {
        for (char *at = events; at < events + got;) {
            const struct inotify_event *event = (void *)at;
            if (!on_event(watch, event)) return;
            at += sizeof(*event) + event->len;
        }
    }
}
