/* client.c: lets fetches in, in order and not too many, and lets each of them out once. */
#include "http/client.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "http/multi.h"

typedef enum { SHUT, OPENING, OPEN, FAILED } client_state_t;

struct client {
    client_options_t options;
    client_state_t state;
    const late_t *late;
    char why[200]; /* libcurl could not be opened */
    uv_thread_t opener;
    posted_t opened;
    /* Connections that may and those that may not lead to private addresses live apart: curl reuses a connection
       without asking open_socket again. */
    multi_t *multis[2];
    list_t waiting, running;
    size_t nwaiting, nrunning;
};

static void on_ended(deferred_t *deferred) {
    fetch_t *fetch = LIST_OWNER(deferred, fetch_t, ended);
    fetch->done(fetch);
}

/* The one way out: takes the fetch from its list and leaves `done` to a later point of the loop. */
static void end(fetch_t *fetch) {
    client_t *client = fetch->client;
    if (fetch->easy)
        client->nrunning--;
    else
        client->nwaiting--;
    list_remove(&fetch->node);
    deadline_clear(&fetch->deadline);
    fetch_release(fetch);
    loop_defer(client->options.loop, &fetch->ended);
}

static void fail(fetch_t *fetch, int err, const char *detail) {
    fetch->err = err;
    snprintf(fetch->detail, sizeof fetch->detail, "%s", detail ? detail : err_text(err));
    end(fetch);
}

static void on_transferred(void *data, CURL *easy, CURLcode code);

/* NULL when out of memory. */
static multi_t *multi_for(client_t *client, const fetch_t *fetch) {
    multi_t **multi = &client->multis[fetch->allow_private];
    if (!*multi) *multi = multi_new(client->options.loop, client->late, on_transferred, client);
    return *multi;
}

static int begin(client_t *client, fetch_t *fetch) {
    multi_t *multi = multi_for(client, fetch);
    int err = multi ? fetch_prepare(fetch, client->late) : ERR_NO_MEMORY;
    return err ? err : multi_add(multi, fetch->easy);
}

static void advance(client_t *client) {
    while (client->state == OPEN && client->nrunning < client->options.most &&
           !list_empty(&client->waiting)) {
        fetch_t *fetch = LIST_OWNER(list_shift(&client->waiting), fetch_t, node);
        int err = begin(client, fetch);
        if (err) {
            fetch_release(fetch);
            fail(fetch, err, NULL);
            continue;
        }
        client->nwaiting--;
        client->nrunning++;
        list_push(&client->running, &fetch->node);
    }
    while (client->state == FAILED && !list_empty(&client->waiting))
        fail(LIST_OWNER(client->waiting.next, fetch_t, node), ERR_UNAVAILABLE, client->why);
}

static void on_transferred(void *data, CURL *easy, CURLcode code) {
    client_t *client = data;
    char *private_data = NULL;
    client->late->easy_getinfo(easy, CURLINFO_PRIVATE, &private_data);
    fetch_t *fetch = (fetch_t *)(void *)private_data;
    fetch_conclude(fetch, code);
    end(fetch);
    advance(client);
}

/* Ends a fetch that has not ended yet, from outside of curl. */
static void stop(fetch_t *fetch, int err) {
    client_t *client = fetch->client;
    if (fetch->easy) multi_remove(client->multis[fetch->allow_private], fetch->easy);
    fail(fetch, err, NULL);
    advance(client);
}

static void on_deadline(deadline_t *deadline) {
    stop(LIST_OWNER(deadline, fetch_t, deadline), ERR_TIMEOUT);
}

void client_cancel(fetch_t *fetch) {
    if (!list_empty(&fetch->node)) stop(fetch, ERR_CANCELLED);
}

static void open_late(void *data) {
    client_t *client = data;
    late_open(&client->late, client->why, sizeof client->why);
    loop_post(client->options.loop, &client->opened);
}

static void on_opened(posted_t *posted) {
    client_t *client = LIST_OWNER(posted, client_t, opened);
    loop_release(client->options.loop);
    client->state = client->late ? OPEN : FAILED;
    advance(client);
}

static int open_client(client_t *client) {
    client->opened.cb = on_opened;
    if (uv_thread_create(&client->opener, open_late, client) != 0) return ERR_BUSY;
    loop_hold(client->options.loop);
    client->state = OPENING;
    return 0;
}

int client_start(client_t *client, fetch_t *fetch) {
    int err = fetch_check(fetch);
    if (!err && client->nwaiting >= client->options.bound) err = ERR_BUSY;
    if (!err && client->state == SHUT) err = open_client(client);
    if (err) return err;
    fetch->client = client;
    list_init(&fetch->node);
    list_push(&client->waiting, &fetch->node);
    client->nwaiting++;
    deferred_init(&fetch->ended, on_ended);
    deadline_init(&fetch->deadline, on_deadline);
    deadline_set(
        client->options.loop, &fetch->deadline, loop_now(client->options.loop) + fetch->timeout_ms);
    advance(client);
    return 0;
}

static void stop_all(client_t *client) {
    client->state = SHUT; /* so that no turn is given to those that wait */
    while (!list_empty(&client->running))
        stop(LIST_OWNER(client->running.next, fetch_t, node), ERR_CLOSED);
    while (!list_empty(&client->waiting))
        stop(LIST_OWNER(client->waiting.next, fetch_t, node), ERR_CLOSED);
}

static void close_client(void *data) {
    client_t *client = data;
    if (client->state != SHUT) uv_thread_join(&client->opener);
    loop_deliver(client->options.loop); /* its message lies in the client's memory */
    stop_all(client);
    for (int i = 0; i < 2; i++) {
        if (client->multis[i]) multi_delete(client->multis[i]);
    }
    free(client);
}

client_t *client_new(const client_options_t *options) {
    client_t *client = calloc(1, sizeof *client);
    if (!client) return NULL;
    client->options = *options;
    if (!client->options.most) client->options.most = 64;
    if (!client->options.bound) client->options.bound = 1000;
    list_init(&client->waiting);
    list_init(&client->running);
    if (loop_exit_add(options->loop, close_client, client) == 0) return client;
    free(client);
    return NULL;
}
