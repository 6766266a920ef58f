/* waited.h: how long open transactions wait for anything but their own connection, and which does so longest. */
#ifndef PERIGEE_POSTGRES_WAITED_H
#define PERIGEE_POSTGRES_WAITED_H
#include "lua/task.h"

#define WAITED_NAME_MAX 64
#define WAITED_STORES 4
#define WAITED_LOG_MS 100 /* a transaction that waited longer is logged */

/* One open transaction. */
typedef struct waited {
    char name[WAITED_NAME_MAX];
    const task_t
        *task; /* whose waits on other stores tell what it waited for; NULL once it has ended */
    uint64_t opened_ns;
    uint64_t idle_ns, idle_since_ns; /* without a statement of its own under way */
    uint64_t
        before_ns[WAITED_STORES]; /* what the task had waited on each other store when it began */
    int working;                  /* its statements under way */
    bool open;
} waited_t;

void waited_open(waited_t *waited, const char *name, const task_t *task);
void waited_work(waited_t *waited); /* a statement is sent */
void waited_rest(waited_t *waited); /* its answer has come */
/* Counts it under its name, and logs transaction_waited when it was long. No effect on one that is not open. */
void waited_close(waited_t *waited);

/* What all transactions of a name have waited, in this process. */
typedef struct waited_sum {
    char name[WAITED_NAME_MAX];
    uint64_t count, total_ns, longest_ns;
    const char *
        longest_on; /* what the longest waited for: "redis", "sqlite", "http", "sleep" or "script" */
} waited_sum_t;
/* The sums, the one that has waited longest first; the names are at most 64, and the least gives way. The pointer
   stays valid until the next waited_close. */
const waited_sum_t *waited_sums(size_t *count);

#endif
