/* home.c: makes and locks a server's own folder. */
#include "home.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"

static int make_folder(const char *path, char *why, size_t size) {
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return 0;
    snprintf(why, size, "cannot make the folder %s: %s", path, strerror(errno));
    return ERR_UNAVAILABLE;
}

static int make_folders(home_t *home, const config_t *config, int port, char *why, size_t size) {
    char servers[600];
    snprintf(servers, sizeof(servers), "%s/servers", config->data);
    snprintf(home->path, sizeof(home->path), "%s/%d", servers, port);
    snprintf(home->editions, sizeof(home->editions), "%s/editions", home->path);
    int err = make_folder(config->data, why, size);
    if (!err) err = make_folder(servers, why, size);
    if (!err) err = make_folder(home->path, why, size);
    return err ? err : make_folder(home->editions, why, size);
}

int home_open(home_t *home, const config_t *config, int port, char *why, size_t size) {
    int err = make_folders(home, config, port, why, size);
    if (err) return err;
    home->fd = open(home->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (home->fd < 0) {
        snprintf(why, size, "cannot open %s: %s", home->path, strerror(errno));
        return ERR_UNAVAILABLE;
    }
    if (flock(home->fd, LOCK_EX | LOCK_NB) == 0) return 0;
    snprintf(why, size, "another server with port %d uses the data folder %s", port, config->data);
    close(home->fd);
    return ERR_CONFLICT;
}

void home_close(home_t *home) {
    close(home->fd);
    home->fd = -1;
}

void home_socket(int fd, char out[64]) {
    snprintf(out, 64, "/proc/self/fd/%d/control.sock", fd);
}
