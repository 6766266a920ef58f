/* loader.c: one thread that reads edition files. */
#include "loader.h"
#include "base/err.h"
#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>

#define WAITING_MAX 20000 /* every tenant's edition at a start */
#define EDITION_MAX (8 * 1024 * 1024)

struct loader {
    threads_t *threads;
};

typedef struct loading {
    work_t work;
    char *path;
    void *data;
    void (*bundle_cb)(void *data, bundle_t *bundle, const char *why);
    void (*edition_cb)(void *data, edition_t *edition, const char *why);
    bundle_t *bundle;
    edition_t *edition;
    char why[300];
} loading_t;

static void read_edition(loading_t *loading) {
    buf_t text;
    buf_create(&text);
    int err = file_read(loading->path, EDITION_MAX, &text, loading->why, sizeof loading->why);
    if (!err) edition_parse(buf_view(&text), &loading->edition, loading->why, sizeof loading->why);
    buf_destroy(&text);
}

static void run(work_t *work, void *thread_data) {
    (void)thread_data;
    loading_t *loading = LIST_OWNER(work, loading_t, work);
    if (loading->edition_cb)
        read_edition(loading);
    else
        bundle_read(loading->path, &loading->bundle, loading->why, sizeof loading->why);
}

static void done(work_t *work) {
    loading_t *loading = LIST_OWNER(work, loading_t, work);
    if (work->skipped) snprintf(loading->why, sizeof loading->why, "the worker is stopping");
    if (loading->edition_cb)
        loading->edition_cb(loading->data, loading->edition, loading->why);
    else
        loading->bundle_cb(loading->data, loading->bundle, loading->why);
    free(loading->path);
    free(loading);
}

static int submit(loader_t *loader, const loading_t *wanted, const char *path) {
    loading_t *loading = malloc(sizeof *loading);
    if (!loading) return ERR_NO_MEMORY;
    *loading = *wanted;
    loading->path = strdup(path);
    loading->work.run = run;
    loading->work.done = done;
    int err = loading->path ? threads_submit(loader->threads, &loading->work) : ERR_NO_MEMORY;
    if (!err) return 0;
    free(loading->path);
    free(loading);
    return err;
}

int loader_bundle(loader_t *loader, const char *path,
    void (*cb)(void *data, bundle_t *bundle, const char *why), void *data) {
    return submit(loader, &(loading_t){.bundle_cb = cb, .data = data}, path);
}

int loader_edition(loader_t *loader, const char *path,
    void (*cb)(void *data, edition_t *edition, const char *why), void *data) {
    return submit(loader, &(loading_t){.edition_cb = cb, .data = data}, path);
}

loader_t *loader_new(loop_t *loop) {
    loader_t *loader = calloc(1, sizeof *loader);
    if (!loader) return NULL;
    threads_options_t options = {.loop = loop, .count = 1, .bound = WAITING_MAX, .name = "loader"};
    loader->threads = threads_new(&options);
    if (loader->threads) return loader;
    free(loader);
    return NULL;
}

void loader_delete(loader_t *loader) {
    threads_delete(loader->threads);
    free(loader);
}
