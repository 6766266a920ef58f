/* background.c: a deadline and at most one task for each entry of main.lua's background. */
#include "background.h"
#include "base/log.h"
#include "services.h"
#include <stdlib.h>

#define RUN_MS 60000

typedef struct job {
    deadline_t deadline;
    task_t *task;
    app_t *app;
    const app_background_t *entry;
} job_t;

struct background {
    app_t *app;
    size_t count;
    job_t jobs[];
};

static void again(job_t *job) {
    loop_t *loop = job->app->services->loop;
    deadline_set(loop, &job->deadline, loop_now(loop) + job->entry->every_ms);
}

static void log_failure(const job_t *job, const char *error) {
    buf_t *line = log_begin(LOG_ERROR, "background_failed");
    if (!line) return;
    buf_text(line, ",\"name\":");
    buf_json(line, span_of(job->entry->name));
    buf_text(line, ",\"error\":");
    buf_json(line, span_of(error ? error : "it did not end in time"));
    log_end();
}

static void on_done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    (void)L;
    (void)nresults;
    job_t *job = task_user(task);
    job->task = NULL;
    if (end == TASK_CANCELLED) return;
    if (end != TASK_OK) log_failure(job, error);
    again(job);
}

static int push_run(lua_State *L, void *data) {
    job_t *job = data;
    lua_rawgeti(L, LUA_REGISTRYINDEX, job->entry->run);
    return 0;
}

static void on_due(deadline_t *deadline) {
    static const task_ops_t OPS = {.done = on_done};
    job_t *job = LIST_OWNER(deadline, job_t, deadline);
    loop_t *loop = job->app->services->loop;
    task_options_t options = {.vm = job->app->vm,
        .ops = &OPS,
        .user = job,
        .deadline_ms = loop_now(loop) + RUN_MS,
        .request_id = job->entry->name};
    bool alive;
    task_t *task = task_start(&options, push_run, job, &alive);
    if (alive)
        job->task = task;
    else if (!task)
        again(job);
}

background_t *background_new(app_t *app) {
    background_t *background = calloc(1, sizeof *background + app->nbackground * sizeof(job_t));
    if (!background) return NULL;
    background->app = app_ref(app);
    background->count = app->nbackground;
    for (size_t i = 0; i < background->count; i++) {
        job_t *job = &background->jobs[i];
        *job = (job_t){.app = app, .entry = &app->background[i]};
        deadline_init(&job->deadline, on_due);
        deadline_set(app->services->loop, &job->deadline, loop_now(app->services->loop));
    }
    return background;
}

void background_delete(background_t *background) {
    if (!background) return;
    for (size_t i = 0; i < background->count; i++) {
        deadline_clear(&background->jobs[i].deadline);
        if (background->jobs[i].task) task_cancel(background->jobs[i].task);
    }
    app_unref(background->app);
    free(background);
}
