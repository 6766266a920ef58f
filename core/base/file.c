/* file.c: reads a file whole. */
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"

#define PIECE 65536

static int failed_by_errno(const char *path, char *why, size_t size) {
    int code = errno;
    int err = code == ENOENT ? ERR_NOT_FOUND : -code;
    return err_why(err, why, size, "%s: %s", path, strerror(code));
}

int file_read_from(int fd, const char *name, size_t max, buf_t *out, char *why, size_t size) {
    for (size_t start = out->len; out->len - start <= max;) {
        char *room = buf_reserve(out, PIECE);
        if (!room) return err_why(ERR_NO_MEMORY, why, size, "%s: out of memory", name);
        ssize_t got = read(fd, room, PIECE);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed_by_errno(name, why, size);
        out->len += (size_t)got;
        if (got == 0) return 0;
    }
    return err_why(ERR_TOO_LARGE, why, size, "%s: is larger than %zu bytes", name, max);
}

static int read_plain(int fd, const char *path, size_t max, buf_t *out, char *why, size_t size) {
    struct stat about;
    if (fstat(fd, &about) != 0) return failed_by_errno(path, why, size);
    if (!S_ISREG(about.st_mode))
        return err_why(ERR_INVALID, why, size, "%s: is not a plain file", path);
    return file_read_from(fd, path, max, out, why, size);
}

/* O_NONBLOCK: a FIFO where a file was expected must not hold anybody. */
int file_read(const char *path, size_t max, buf_t *out, char *why, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return failed_by_errno(path, why, size);
    int err = read_plain(fd, path, max, out, why, size);
    close(fd);
    return err;
}
