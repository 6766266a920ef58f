/* log.c: gathers log lines of all threads in one buffer and writes them in whole pieces. */
#include "base/log.h"
#include <errno.h>
#include <pthread.h>
#include <unistd.h>
#include "base/clock.h"

#define GATHER_BYTES ((size_t)64 * 1024)
#define GATHER_MS 1000
/* What may wait while the descriptor takes nothing (a full pipe that does not block); beyond it lines are lost. */
#define BACKLOG_BYTES ((size_t)1024 * 1024)

static struct {
    pthread_mutex_t lock;
    int fd;
    log_level_t least;
    buf_t lines;
    size_t line_start; /* of the line between begin and end */
    int64_t now_ms;    /* when the line was begun */
    int64_t empty_ms;  /* when the buffer was last empty */
    char time[25];     /* now_ms as text */
    uint64_t lost;
    log_level_t level; /* of the line between begin and end */
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .least = LOG_INFO};

static const char *const levels[] = {"debug", "info", "warn", "error"};

/* Under the lock. Keeps what a descriptor that does not block would not take. */
static void write_lines(void) {
    size_t at = 0;
    while (at < out.lines.len) {
        ssize_t wrote = write(out.fd, out.lines.ptr + at, out.lines.len - at);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        at = wrote < 0 ? out.lines.len : at + (size_t)wrote; /* nowhere to report a broken log to */
    }
    if (at) memmove(out.lines.ptr, out.lines.ptr + at, out.lines.len - at);
    out.lines.len -= at;
}

static void before_fork(void) {
    pthread_mutex_lock(&out.lock);
    write_lines(); /* or parent and child would both write what has gathered */
}

static void after_fork(void) {
    pthread_mutex_unlock(&out.lock);
}

static void guard_forks(void) {
    pthread_atfork(before_fork, after_fork, after_fork);
}

void log_open(int fd, log_level_t least) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, guard_forks);
    pthread_mutex_lock(&out.lock);
    write_lines();
    out.fd = fd;
    out.least = least;
    pthread_mutex_unlock(&out.lock);
}

/* Lines of one second differ in three digits only. */
static void read_clock(void) {
    int64_t now = clock_wall_ms();
    if (now / 1000 != out.now_ms / 1000) clock_iso(now, out.time);
    out.now_ms = now;
    for (int i = 22, ms = (int)(now % 1000); i >= 20; i--, ms /= 10)
        out.time[i] = (char)('0' + ms % 10);
}

static void put_head(log_level_t level, const char *event) {
    buf_put(&out.lines, "{\"time\":\"", 9);
    buf_put(&out.lines, out.time, 24);
    buf_text(&out.lines, "\",\"level\":\"");
    buf_text(&out.lines, levels[level]);
    buf_text(&out.lines, "\",\"event\":");
    buf_json(&out.lines, span_of(event));
    if (!out.lost) return;
    buf_printf(&out.lines, ",\"lost_lines\":%llu", (unsigned long long)out.lost);
    out.lost = 0;
}

buf_t *log_begin(log_level_t level, const char *event) {
    if (level < out.least) return NULL;
    pthread_mutex_lock(&out.lock);
    read_clock();
    if (!out.lines.len) out.empty_ms = out.now_ms;
    out.line_start = out.lines.len;
    out.level = level;
    put_head(level, event);
    return &out.lines;
}

void log_end(void) {
    buf_put(&out.lines, "}\n", 2);
    if (out.lines.failed || out.lines.len > BACKLOG_BYTES) {
        out.lines.len = out.line_start;
        out.lines.failed = false;
        out.lost++;
    }
    bool due = out.lines.len >= GATHER_BYTES || out.level >= LOG_WARN ||
               out.now_ms - out.empty_ms >= GATHER_MS;
    if (due) write_lines();
    pthread_mutex_unlock(&out.lock);
}

void log_event(log_level_t level, const char *event, const char *fields, ...) {
    buf_t *line = log_begin(level, event);
    if (!line) return;
    if (fields) {
        va_list args;
        va_start(args, fields);
        buf_char(line, ',');
        buf_vprintf(line, fields, args);
        va_end(args);
    }
    log_end();
}

void log_flush(void) {
    pthread_mutex_lock(&out.lock);
    write_lines();
    pthread_mutex_unlock(&out.lock);
}

bool log_level_find(const char *name, log_level_t *found) {
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(levels[i], name) != 0) continue;
        *found = (log_level_t)i;
        return true;
    }
    return false;
}
