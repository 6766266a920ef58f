/* job.c: a loop, the engines and one trusted script, until the script has returned. */
#include "job.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "detach.h"
#include "launch.h"
#include "services.h"
#include "source.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRIPT_MAX (1024 * 1024)

typedef struct job {
    services_t services;
    app_t *app;
    const char *path;
    buf_t text;
    int argc;
    char **argv;
    int code;
    bool waits; /* the loop runs */
    bool ended;
} job_t;

static void on_done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    job_t *job = task_user(task);
    job->ended = true;
    job->code = 1;
    if (end == TASK_OK)
        job->code = nresults && lua_isnumber(L, -nresults) ? (int)lua_tonumber(L, -nresults) : 0;
    else
        fprintf(stderr, "perigee: %s\n", error ? error : "the script was cancelled");
    if (job->waits) loop_stop(job->services.loop);
}

static int push_script(lua_State *L, void *data) {
    job_t *job = data;
    lua_createtable(L, job->argc, 1);
    lua_pushstring(L, job->path);
    lua_rawseti(L, -2, 0);
    for (int i = 0; i < job->argc; i++) {
        lua_pushstring(L, job->argv[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setglobal(L, "arg");
    lua_pushfstring(L, "@%s", job->path);
    if (luaL_loadbufferx(L, job->text.ptr, job->text.len, lua_tostring(L, -1), "t") != 0)
        lua_error(L);
    lua_remove(L, -2);
    return 0;
}

static void run(job_t *job) {
    static const task_ops_t OPS = {.done = on_done};
    task_options_t options = {.vm = job->app->vm, .ops = &OPS, .user = job};
    bool alive;
    loop_hold(job->services.loop);
    if (!task_start(&options, push_script, job, &alive)) {
        fprintf(stderr, "perigee: out of memory\n");
        job->code = 1;
    } else if (!job->ended) {
        job->waits = true;
        loop_run(job->services.loop);
    }
    loop_release(job->services.loop);
}

/* One that cannot be read is that shop's trouble: the job goes on without it. */
static void read_edition(void *data, const char *source) {
    job_t *job = data;
    char why[1000] = "out of memory";
    edition_t *edition = NULL;
    int err =
        edition_read(job->services.config.tenants, source_slug(source), &edition, why, sizeof why);
    if (!err) err = tenants_swap(job->services.tenants, edition);
    if (err) fprintf(stderr, "perigee: %s\n", why);
    edition_unref(edition);
}

static int prepare(job_t *job, const config_t *config, char *why, size_t size) {
    bundle_t *bundle;
    loop_t *loop = loop_new();
    if (!loop) return ERR_NO_MEMORY;
    mkdir(config->data, 0755); /* the engine says what is wrong when there is none afterwards */
    int err = services_create(&job->services, loop, config, why, size);
    if (!err) err = file_read(job->path, SCRIPT_MAX, &job->text, why, size);
    /* As they lie in the folder: a job has no master that would have tried them. */
    if (!err) source_list(config->tenants, read_edition, job);
    if (!err) err = bundle_read_folder(config->scripts, &bundle, why, size);
    return err ? err : launch_bare(&job->services, bundle, &job->app, why, size);
}

/* A job speaks to whoever runs it: that its engines can be reached is no news. */
static log_level_t level_of(const config_t *config) {
    bool chosen = config->log_level == LOG_DEBUG || config->log_level > LOG_WARN;
    return chosen ? config->log_level : LOG_WARN;
}

int job_run(const config_t *config, const char *script_path, int argc, char **argv) {
    char why[1000] = "out of memory";
    job_t job = {.path = script_path, .argc = argc, .argv = argv, .code = 1};
    buf_create(&job.text);
    log_open(STDERR_FILENO, level_of(config));
    int err = prepare(&job, config, why, sizeof why);
    if (err)
        fprintf(stderr, "perigee: %s\n", why);
    else
        run(&job);
    if (job.services.loop) detach_stop(&job.services);
    app_unref(job.app);
    if (job.services.loop) {
        loop_turn(job.services.loop, 0);
        services_destroy(&job.services);
        loop_delete(job.services.loop);
    }
    buf_destroy(&job.text);
    log_flush();
    return job.code;
}
