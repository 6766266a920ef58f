/* file.c: reads a file whole. */
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"

#define PIECE 65536

static int fail(int err, const char *path, const char *sentence, char *why, size_t size) {
    snprintf(why, size, "%s: %s", path, sentence);
    return err;
}

static int failed_by_errno(const char *path, char *why, size_t size) {
    int code = errno;
    return fail(code == ENOENT ? ERR_NOT_FOUND : -code, path, strerror(code), why, size);
}

int file_read_from(int fd, const char *name, size_t max, buf_t *out, char *why, size_t size) {
    char sentence[64];
    for (size_t start = out->len; out->len - start <= max;) {
        char *room = buf_reserve(out, PIECE);
        if (!room) return fail(ERR_NO_MEMORY, name, "out of memory", why, size);
        ssize_t got = read(fd, room, PIECE);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed_by_errno(name, why, size);
        out->len += (size_t)got;
        if (got == 0) return 0;
    }
    snprintf(sentence, sizeof sentence, "is larger than %zu bytes", max);
    return fail(ERR_TOO_LARGE, name, sentence, why, size);
}

static int read_plain(int fd, const char *path, size_t max, buf_t *out, char *why, size_t size) {
    struct stat about;
    if (fstat(fd, &about) != 0) return failed_by_errno(path, why, size);
    if (!S_ISREG(about.st_mode)) return fail(ERR_INVALID, path, "is not a plain file", why, size);
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
