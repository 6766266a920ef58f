/* job.c: failing, clearing and stopping a job. */
#include "sqlite/job.h"
#include <stdio.h>
#include "base/clock.h"

void job_clear(job_t *job) {
    buf_reset(&job->cells);
    job->err = 0;
    job->detail[0] = '\0';
    for (size_t i = 0; i < job->count; i++)
        job->results[i] = (result_t){0};
}

void job_fail(job_t *job, int err, const char *format, ...) {
    va_list args;
    if (job->err) return;
    job->err = err;
    va_start(args, format);
    vsnprintf(job->detail, sizeof job->detail, format, args);
    va_end(args);
}

int job_stop(const job_t *job) {
    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed)) return ERR_CANCELLED;
    if (job->deadline_ns && clock_mono_ns() >= job->deadline_ns) return ERR_TIMEOUT;
    return 0;
}
