/* files.h: whole files and folders, read blocking: for starts, threads and commands, never on a loop. */
#ifndef PERIGEE_FILES_H
#define PERIGEE_FILES_H
#include "base/bytes.h"

/* Appends the file. ERR_TOO_LARGE beyond max bytes, ERR_NOT_FOUND, or a libuv code; why names the file. */
int files_read(const char *path, size_t max, buf_t *out, char *why, size_t size);
/* Calls fn for each regular file below the folder, in sorted order, names that begin with a dot left out; relative
   has '/' between its parts. Stops at the first error of fn. At most 16 levels. */
int files_walk(const char *folder, int (*fn)(void *data, const char *path, const char *relative),
    void *data, char *why, size_t size);

#endif
