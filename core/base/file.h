/* file.h: whole files, read blocking: for starts, threads and commands, never on a loop. */
#ifndef PERIGEE_BASE_FILE_H
#define PERIGEE_BASE_FILE_H
#include "base/bytes.h"

/* Appends the file. ERR_NOT_FOUND, ERR_TOO_LARGE beyond max bytes, ERR_INVALID when it is no plain file,
   ERR_NO_MEMORY, or a negative libuv code; why gets a sentence that begins with the path. */
int file_read(const char *path, size_t max, buf_t *out, char *why, size_t size);
/* The same from a descriptor of any kind, up to its end; name is for the sentence. */
int file_read_from(int fd, const char *name, size_t max, buf_t *out, char *why, size_t size);

#endif
