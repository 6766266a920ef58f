/* loop.h: one libuv loop with deadlines, things put off to a later turn, and messages from other threads. */
#ifndef PERIGEE_BASE_LOOP_H
#define PERIGEE_BASE_LOOP_H
#include <uv.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"

typedef struct loop loop_t;

/* Something that happens at a time. The caller owns the memory, calls deadline_init once, and must deadline_clear it
   before the memory goes. */
typedef struct deadline deadline_t;
typedef void (*deadline_cb)(deadline_t *deadline);
struct deadline {
    list_t node;
    uint64_t at_ms; /* loop time */
    deadline_cb cb;
    loop_t *loop; /* where it was last set, so that clearing needs no loop */
};

/* Put off to the end of this turn (after the callbacks of this poll). The caller owns the memory; in one queue or
   none. */
typedef struct deferred deferred_t;
typedef void (*deferred_cb)(deferred_t *deferred);
struct deferred {
    list_t node;
    deferred_cb cb;
};

/* A message from another thread: posted once, delivered on the loop, the memory stays the sender's until then. */
typedef struct posted posted_t;
struct posted {
    list_t node;
    void (*cb)(posted_t *posted);
};

/* A loop, or NULL when out of memory or descriptors. loop_delete runs what is left of close callbacks and asserts that
   no handle is open: an open handle is a bug of its owner. */
loop_t *loop_new(void);
void loop_delete(loop_t *loop);
uv_loop_t *loop_uv(loop_t *loop);
/* Runs until loop_stop, or until nothing but the loop's own handles is alive. */
void loop_run(loop_t *loop);
/* One turn that waits for at most max_ms; for tests and tools. */
void loop_turn(loop_t *loop, uint64_t max_ms);
void loop_stop(loop_t *loop);
/* Milliseconds of a steady clock, taken once per turn. */
uint64_t loop_now(loop_t *loop);

static inline void deadline_init(deadline_t *d, deadline_cb cb) {
    list_init(&d->node);
    d->at_ms = 0;
    d->cb = cb;
    d->loop = NULL;
}
/* Fires once at or up to 10 ms after at_ms, never inside this call; sets again when set already. Constant cost.
   An armed deadline keeps loop_run going; a loop without one has no timer and does not wake. */
void deadline_set(loop_t *loop, deadline_t *deadline, uint64_t at_ms);
void deadline_clear(deadline_t *deadline);
static inline bool deadline_armed(const deadline_t *d) {
    return !list_empty(&d->node);
}

static inline void deferred_init(deferred_t *d, deferred_cb cb) {
    list_init(&d->node);
    d->cb = cb;
}
/* Runs cb at the end of this turn; what is deferred while the queue drains runs in the next turn. */
void loop_defer(loop_t *loop, deferred_t *deferred);
static inline void deferred_clear(deferred_t *d) {
    list_remove(&d->node);
}

/* From any thread. The loop is woken once per batch; messages of one thread arrive in its order. */
void loop_post(loop_t *loop, posted_t *posted);
/* Runs what has been posted so far, now, for a delete that must see its own messages before it frees. */
void loop_deliver(loop_t *loop);
/* Keeps the loop alive while n > 0, for owners that wait for a post and hold no handle. */
void loop_hold(loop_t *loop);
void loop_release(loop_t *loop);

/* Called when the loop is deleted, newest first: bindings close their handles and join their threads there; close
   callbacks still run afterwards. */
int loop_exit_add(loop_t *loop, void (*fn)(void *data), void *data);

#endif
