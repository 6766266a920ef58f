/* waited.c: measures, sums up and logs what transactions wait for while they hold their locks. */
#include "postgres/waited.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"

#define SUMS_MOST 64
#define NS_PER_MS 1000000

static const char *const STORES[WAITED_STORES] = {"redis.", "sqlite.", "http.", "sleep"};
static const char *const NAMES[WAITED_STORES] = {"redis", "sqlite", "http", "sleep"};

static waited_sum_t sums[SUMS_MOST];
static size_t sum_count;

void waited_open(waited_t *waited, const char *name, const task_t *task) {
    *waited = (waited_t){.task = task, .open = true, .opened_ns = clock_mono_ns()};
    waited->idle_since_ns = waited->opened_ns;
    snprintf(waited->name, sizeof waited->name, "%s", name);
    for (int i = 0; i < WAITED_STORES; i++)
        waited->before_ns[i] = task_waited_ns(task, STORES[i]);
}

void waited_work(waited_t *waited) {
    if (!waited->open || waited->working++) return;
    waited->idle_ns += clock_mono_ns() - waited->idle_since_ns;
}

void waited_rest(waited_t *waited) {
    if (!waited->open || !waited->working || --waited->working) return;
    waited->idle_since_ns = clock_mono_ns();
}

/* The store that most of the waiting was for; "script" when the script itself took longer. */
static const char *longest_on(const waited_t *waited) {
    const char *name = "script";
    uint64_t sum = 0, most = 0;
    for (int i = 0; waited->task && i < WAITED_STORES; i++) {
        uint64_t ns = task_waited_ns(waited->task, STORES[i]) - waited->before_ns[i];
        sum += ns;
        if (ns <= most) continue;
        most = ns;
        name = NAMES[i];
    }
    return 2 * sum >= waited->idle_ns ? name : "script";
}

static waited_sum_t *least(void) {
    waited_sum_t *found = &sums[0];
    for (size_t i = 1; i < sum_count; i++)
        if (sums[i].longest_ns < found->longest_ns) found = &sums[i];
    return found;
}

static waited_sum_t *sum_of(const char *name) {
    for (size_t i = 0; i < sum_count; i++)
        if (!strcmp(sums[i].name, name)) return &sums[i];
    waited_sum_t *sum = sum_count < SUMS_MOST ? &sums[sum_count++] : least();
    *sum = (waited_sum_t){.longest_on = "script"};
    memcpy(sum->name, name, strlen(name) + 1);
    return sum;
}

static void write_log(const waited_t *waited, const char *on) {
    buf_t *line = log_begin(LOG_WARN, "transaction_waited");
    if (!line) return;
    const char *id = waited->task ? task_request_id(waited->task) : NULL;
    if (id) {
        buf_text(line, ",\"requestId\":");
        buf_json(line, span_of(id));
    }
    buf_text(line, ",\"transaction\":");
    buf_json(line, span_of(waited->name));
    uint64_t open_ns = clock_mono_ns() - waited->opened_ns;
    buf_printf(line, ",\"on\":\"%s\",\"ms\":%llu,\"open_ms\":%llu", on,
        (unsigned long long)(waited->idle_ns / NS_PER_MS),
        (unsigned long long)(open_ns / NS_PER_MS));
    log_end();
}

void waited_close(waited_t *waited) {
    if (!waited->open) return;
    if (!waited->working) waited->idle_ns += clock_mono_ns() - waited->idle_since_ns;
    waited->open = false;
    const char *on = longest_on(waited);
    waited_sum_t *sum = sum_of(waited->name);
    sum->count++;
    sum->total_ns += waited->idle_ns;
    if (waited->idle_ns >= sum->longest_ns) {
        sum->longest_ns = waited->idle_ns;
        sum->longest_on = on;
    }
    if (waited->idle_ns >= (uint64_t)WAITED_LOG_MS * NS_PER_MS) write_log(waited, on);
}

static int compare(const void *a, const void *b) {
    const waited_sum_t *x = a, *y = b;
    return (x->longest_ns < y->longest_ns) - (x->longest_ns > y->longest_ns);
}

const waited_sum_t *waited_sums(size_t *count) {
    qsort(sums, sum_count, sizeof *sums, compare);
    *count = sum_count;
    return sums;
}
