/* trial.c: a child process that reads, checks and shelves editions, and the master's view of it. */
#include "trial.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/err.h"
#include "base/ident.h"
#include "message.h"
#include "try.h"

#define FILE_BYTES_MAX ((rlim_t)256 * 1024 * 1024)
#define STALL_FACTOR                                                                               \
    4 /* processor seconds to seconds, for a machine that is busy with other things */

struct trial {
    pid_t pid;
    line_t line;
    bool closed; /* the child has closed its end */
    char (*sources)[SOURCE_MAX];
    size_t count, done;
    uint64_t until_ms, stall_ms;
    rlim_t cpu_s;
    trial_cb cb;
    void *data;
    arena_t arena;
};

static rlim_t address_space(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%lu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void confine(const config_t *config) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    rlim_t room = address_space() + (rlim_t)config->trial_memory_bytes;
    setrlimit(RLIMIT_AS, &(struct rlimit){room, room});
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){FILE_BYTES_MAX, FILE_BYTES_MAX});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(SIGXCPU, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The limit counts the process's whole life, so each source starts from what has been used. */
static void grant_time(const config_t *config) {
    struct rusage used;
    struct rlimit limit;
    getrusage(RUSAGE_SELF, &used);
    getrlimit(RLIMIT_CPU, &limit);
    limit.rlim_cur = (rlim_t)used.ru_utime.tv_sec + (rlim_t)used.ru_stime.tv_sec + 1 +
                     (rlim_t)config->trial_cpu_s;
    setrlimit(RLIMIT_CPU, &limit);
}

static bool send_whole(int fd, span_t text) {
    while (text.len > 0) {
        ssize_t n = send(fd, text.ptr, text.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text.ptr += n;
        text.len -= (size_t)n;
    }
    return true;
}

static bool answer(
    int fd, const char *source, const shelf_mark_t *mark, int err, const char *error) {
    buf_t text;
    buf_create(&text);
    message_t message = {.verb = "try", .answer = true, .ok = err == 0, .tenant = source, .fd = -1};
    if (*error) message.error = error;
    if (!err) message.hash = mark->hash, message.path = mark->key;
    message_write(&message, &text);
    bool sent = !text.failed && send_whole(fd, buf_view(&text));
    buf_destroy(&text);
    return sent;
}

/* Leaves by _exit: nothing of the master's may be flushed or closed a second time. */
__attribute__((noreturn)) static void be_child(
    const trial_t *trial, const config_t *config, const shelf_t *shelf, int fd) {
    confine(config);
    for (size_t i = 0; i < trial->count; i++) {
        shelf_mark_t mark;
        buf_t report;
        buf_create(&report);
        grant_time(config);
        int err = try_source(config, shelf, trial->sources[i], &mark, &report);
        buf_char(&report, '\0');
        const char *error = report.failed ? "out of memory" : report.ptr;
        if (!answer(fd, trial->sources[i], &mark, err, error)) break;
        buf_destroy(&report);
    }
    _exit(0);
}

static bool fork_child(trial_t *trial, const config_t *config, const shelf_t *shelf) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return false;
    trial->pid = fork();
    if (trial->pid == 0) be_child(trial, config, shelf, pair[1]);
    close(pair[1]);
    if (trial->pid < 0)
        close(pair[0]);
    else
        line_create(&trial->line, pair[0]);
    return trial->pid > 0;
}

trial_t *trial_new(const config_t *config, const shelf_t *shelf, char (*sources)[SOURCE_MAX],
    size_t count, trial_cb cb, void *data) {
    trial_t *trial = calloc(1, sizeof(*trial));
    if (!trial) return NULL;
    trial->sources = malloc(count * SOURCE_MAX);
    if (!trial->sources) {
        free(trial);
        return NULL;
    }
    memcpy(trial->sources, sources, count * SOURCE_MAX);
    trial->count = count;
    trial->cb = cb;
    trial->data = data;
    trial->cpu_s = (rlim_t)config->trial_cpu_s;
    trial->stall_ms = ((uint64_t)config->trial_cpu_s + 1) * STALL_FACTOR * 1000;
    trial->until_ms = poller_now() + trial->stall_ms;
    arena_create(&trial->arena);
    if (fork_child(trial, config, shelf)) return trial;
    free(trial->sources);
    free(trial);
    return NULL;
}

void trial_delete(trial_t *trial) {
    if (trial->pid > 0) kill(trial->pid, SIGKILL);
    line_destroy(&trial->line);
    arena_destroy(&trial->arena);
    free(trial->sources);
    free(trial);
}

pid_t trial_pid(const trial_t *trial) {
    return trial->pid;
}

static void hand_over(trial_t *trial, const message_t *message) {
    trial_result_t result = {.source = trial->sources[trial->done++], .ok = message->ok};
    if (message->path) snprintf(result.mark.key, sizeof(result.mark.key), "%s", message->path);
    if (message->hash) snprintf(result.mark.hash, sizeof(result.mark.hash), "%s", message->hash);
    result.error = message->error ? message->error : "";
    trial->cb(trial->data, &result);
}

/* The child is not trusted once it has run a tenant's script: only the next source's answer is taken from it. */
static void on_line(void *data, span_t text) {
    trial_t *trial = data;
    message_t message;
    if (trial->done < trial->count && message_parse(text, &trial->arena, &message) == 0 &&
        message.tenant && strcmp(message.tenant, trial->sources[trial->done]) == 0) {
        trial->until_ms = poller_now() + trial->stall_ms;
        hand_over(trial, &message);
    }
    arena_destroy(&trial->arena);
}

static void on_poll(void *data, short events) {
    (void)events;
    trial_t *trial = data;
    if (line_read(&trial->line, on_line, trial) != 0) trial->closed = true;
}

void trial_watch(trial_t *trial, poller_t *poller) {
    if (!trial->closed) poller_add(poller, trial->line.fd, POLLIN, on_poll, trial);
    poller_wake(poller, trial->until_ms);
}

void trial_tick(trial_t *trial, uint64_t now) {
    if (now < trial->until_ms) return;
    kill(trial->pid, SIGKILL);
    trial->until_ms = UINT64_MAX;
}

static void explain(const trial_t *trial, int status, char *out, size_t size) {
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    const char *source = trial->sources[trial->done];
    if (sig == SIGXCPU) {
        snprintf(out, size, "%s: its trial took more than %llu s of processor time", source,
            (unsigned long long)trial->cpu_s);
    } else if (sig == SIGKILL) {
        snprintf(out, size, "%s: its trial did not come to an end", source);
    } else {
        snprintf(out, size, "%s: its trial crashed (%s %d)", source, sig ? "signal" : "exit code",
            sig ? sig : WEXITSTATUS(status));
    }
}

size_t trial_reaped(trial_t *trial, int status, char (**rest)[SOURCE_MAX]) {
    trial->pid = 0;
    if (!trial->closed) line_read(&trial->line, on_line, trial);
    if (trial->done < trial->count) {
        char error[256];
        explain(trial, status, error, sizeof(error));
        message_t failed = {.error = error};
        hand_over(trial, &failed);
    }
    *rest = trial->sources + trial->done;
    return trial->count - trial->done;
}
