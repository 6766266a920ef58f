/* aside.h: a call that blocks and cannot be told to stop, on a thread of its own that nobody joins. */
#ifndef PERIGEE_BASE_ASIDE_H
#define PERIGEE_BASE_ASIDE_H
#include "base/loop.h"

typedef struct aside aside_t;
typedef struct aside_options {
    loop_t *loop;
    const char *name;        /* the thread's, at most 15 bytes */
    void (*run)(void *data); /* on the thread */
    void (*done)(
        void *data); /* on the loop, once, never inside aside_start; not after aside_stop */
    void (*discard)(
        void *data); /* frees data: after done, or once it was stopped, wherever that is noticed */
    void *data;
} aside_options_t;

/* Starts the thread and keeps the loop alive until done. 0, or UV_ENOMEM or UV_EAGAIN; then data stays the caller's.
   How many run at once is the caller's business: each has a thread, and one that hangs keeps it. */
int aside_start(aside_t **out, const aside_options_t *options);
/* Blocks the loop, so it is for its end: until the call has come back, or clock_mono_ns() is past until_ns. Whether it
   has; done is still to come, unless aside_stop follows. */
bool aside_wait(aside_t *aside, uint64_t until_ns);
/* done does not come. Waits for nothing: a call that hangs goes on by itself, and holds up no loop's end and no
   program's. */
void aside_stop(aside_t *aside);

#endif
