/* log.h: structured log lines, one JSON object each, buffered and written when 64 KB or a second have gathered. */
#ifndef PERIGEE_BASE_LOG_H
#define PERIGEE_BASE_LOG_H
#include "base/bytes.h"

typedef enum { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } log_level_t;

/* Where lines go (a file descriptor the caller keeps) and the least level. Call once at the start; the default is
   standard error and LOG_INFO. */
void log_open(int fd, log_level_t least);
/* {"time":"…Z","level":"info","event":EVENT, …}\n. `fields` is a printf format for the rest: ready JSON members
   without braces (`"\"port\":%d"`), or NULL. LOG_WARN and above flush at once. Never put secrets here. */
void log_event(log_level_t level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));
/* The buffer for one line built by the caller: begin puts time, level and event; the caller appends members, each with
   its own leading comma; end closes the object. NULL when the level is below the least. */
buf_t *log_begin(log_level_t level, const char *event);
void log_end(void);
/* Writes what has gathered. The worker calls it each second and at its end. */
void log_flush(void);
bool log_level_find(const char *name, log_level_t *found);

#endif
