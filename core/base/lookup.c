/* lookup.c: a thread for each name, which nobody joins: getaddrinfo cannot be told to stop, and one that hangs in
   libuv's pool would hold up a loop's end and, by the pool's own end, the program's. */
#include "base/lookup.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lookup {
    uv_mutex_t lock; /* of stopped */
    bool
        stopped; /* nobody waits any more: the thread frees it, or its message when that is on its way */
    posted_t posted;
    loop_t *loop;
    lookup_cb done;
    void *data;
    char host[NI_MAXHOST], service[8];
    struct addrinfo *found;
    int err;
};

static atomic_int running;

static int translate(int code) {
    static const struct {
        int code, err;
    } CODES[] = {
        {EAI_AGAIN, UV_EAI_AGAIN},
        {EAI_FAIL, UV_EAI_FAIL},
        {EAI_FAMILY, UV_EAI_FAMILY},
        {EAI_MEMORY, UV_EAI_MEMORY},
        {EAI_NONAME, UV_EAI_NONAME},
        {EAI_SERVICE, UV_EAI_SERVICE},
    };
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        if (CODES[i].code == code) return CODES[i].err;
    return code ? UV_EAI_FAIL : 0;
}

static void discard(lookup_t *lookup) {
    if (lookup->found) freeaddrinfo(lookup->found);
    uv_mutex_destroy(&lookup->lock);
    free(lookup);
}

/* The lock is taken so that the thread has left it before it goes. */
static void on_delivered(posted_t *posted) {
    lookup_t *lookup = LIST_OWNER(posted, lookup_t, posted);
    uv_mutex_lock(&lookup->lock);
    bool stopped = lookup->stopped;
    uv_mutex_unlock(&lookup->lock);
    if (!stopped) {
        struct addrinfo *found = lookup->found;
        lookup->found = NULL;
        loop_release(lookup->loop);
        lookup->done(lookup->data, lookup->err, found);
    }
    discard(lookup);
}

/* Posts inside the lock: once it is released, the lookup may be stopped and the loop deleted. */
static void report(lookup_t *lookup) {
    uv_mutex_lock(&lookup->lock);
    bool stopped = lookup->stopped;
    if (!stopped) loop_post(lookup->loop, &lookup->posted);
    uv_mutex_unlock(&lookup->lock);
    if (stopped) discard(lookup);
}

static void *look_up(void *data) {
    lookup_t *lookup = data;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    pthread_setname_np(pthread_self(), "lookup");
    lookup->err = translate(getaddrinfo(lookup->host, lookup->service, &hints, &lookup->found));
    if (lookup->err) lookup->found = NULL;
    atomic_fetch_sub(&running, 1);
    report(lookup);
    return NULL;
}

/* Without signals: they belong to the main thread. */
static int start_thread(lookup_t *lookup) {
    pthread_t thread;
    pthread_attr_t detached;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, &detached, look_up, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return failed ? UV_EAI_AGAIN : 0;
}

static int begin(lookup_t *lookup) {
    if (atomic_fetch_add(&running, 1) < LOOKUPS_MAX && start_thread(lookup) == 0) return 0;
    atomic_fetch_sub(&running, 1);
    return UV_EAI_AGAIN;
}

int lookup_start(
    lookup_t **out, loop_t *loop, const char *host, int port, lookup_cb done, void *data) {
    if (strlen(host) >= NI_MAXHOST) return UV_ENAMETOOLONG;
    lookup_t *lookup = calloc(1, sizeof *lookup);
    if (!lookup) return UV_ENOMEM;
    lookup->loop = loop;
    lookup->done = done;
    lookup->data = data;
    lookup->posted.cb = on_delivered;
    snprintf(lookup->host, sizeof lookup->host, "%s", host);
    snprintf(lookup->service, sizeof lookup->service, "%d", port);
    if (uv_mutex_init(&lookup->lock) != 0) {
        free(lookup);
        return UV_ENOMEM;
    }
    int err = begin(lookup);
    if (err) {
        discard(lookup);
        return err;
    }
    loop_hold(loop);
    *out = lookup;
    return 0;
}

void lookup_stop(lookup_t *lookup) {
    loop_release(lookup->loop);
    uv_mutex_lock(&lookup->lock);
    lookup->stopped = true;
    uv_mutex_unlock(&lookup->lock);
}
