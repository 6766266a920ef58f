/* loop_rig.h: turns a test's loop until something has happened, or for as long as nothing should. */
#ifndef PERIGEE_TESTS_LOOP_RIG_H
#define PERIGEE_TESTS_LOOP_RIG_H
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>
#include "base/err.h"
#include "base/loop.h"

#define RIG_PATIENCE_S 60 /* only a fault takes this long */

static inline uint64_t rig_deadline(void) {
    return uv_hrtime() + RIG_PATIENCE_S * UINT64_C(1000000000);
}

/* Turns until the condition holds. */
#define RIG_UNTIL(loop, condition)                                                                 \
    do {                                                                                           \
        uint64_t rig_end = rig_deadline();                                                         \
        while (!(condition) && uv_hrtime() < rig_end)                                              \
            loop_turn(loop, 20);                                                                   \
        assert_true(condition);                                                                    \
    } while (0)

/* Turns for as long as a loop that has something to report would need. */
static inline void rig_settle(loop_t *loop) {
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 1);
}

#endif
