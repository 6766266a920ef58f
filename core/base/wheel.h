/* wheel.h: the hierarchical timing wheel behind the deadlines of a loop; knows no timer and no clock. */
#ifndef PERIGEE_BASE_WHEEL_H
#define PERIGEE_BASE_WHEEL_H
#include "base/loop.h"

#define WHEEL_TICK_MS 10
#define WHEEL_LEVELS 4
#define WHEEL_SLOTS 64

typedef struct wheel {
    list_t slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t marks
        [WHEEL_LEVELS]; /* a bit per slot that may hold something; a cleared deadline leaves its bit behind */
    list_t due;     /* being fired */
    uint64_t tick;  /* all up to here have fired */
    uint64_t armed; /* deadlines in slots and due; deadline_clear counts down */
} wheel_t;

void wheel_create(wheel_t *wheel, uint64_t now_ms);
/* Adds an initialised deadline that is in no list; its at_ms may lie in the past. */
void wheel_add(wheel_t *wheel, deadline_t *deadline, uint64_t now_ms);
/* When wheel_advance next has something to do, or a little earlier. Call it only while something is armed. */
uint64_t wheel_next_ms(wheel_t *wheel);
/* Fires all that is due at now_ms. */
void wheel_advance(wheel_t *wheel, uint64_t now_ms);

#endif
