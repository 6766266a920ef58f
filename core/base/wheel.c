/* wheel.c: four levels of 64 slots; the first has a tick of 10 ms, each next one 64 times the one before. Adding and
   clearing touch one slot; a deadline moves down at most three times before it fires. */
#include "base/wheel.h"
#include "base/err.h"

#define BITS 6 /* of WHEEL_SLOTS */

void wheel_create(wheel_t *wheel, uint64_t now_ms) {
    *wheel = (wheel_t){.tick = now_ms / WHEEL_TICK_MS};
    list_init(&wheel->due);
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    }
}

/* The first tick that begins at or after at_ms, but not one that has fired. */
static uint64_t tick_of(const wheel_t *wheel, uint64_t at_ms) {
    uint64_t tick = at_ms / WHEEL_TICK_MS + (at_ms % WHEEL_TICK_MS != 0);
    return tick > wheel->tick ? tick : wheel->tick + 1;
}

/* What is further away than the wheel reaches (46 hours) waits in the last slot and is placed anew from there. */
static void place(wheel_t *wheel, deadline_t *deadline, uint64_t tick) {
    uint64_t most = wheel->tick + ((uint64_t)1 << (BITS * WHEEL_LEVELS)) - 1;
    if (tick > most) tick = most;
    int level = 0;
    while ((tick - wheel->tick) >> (BITS * (level + 1)))
        level++;
    unsigned slot = (unsigned)(tick >> (BITS * level)) % WHEEL_SLOTS;
    list_push(&wheel->slots[level][slot], &deadline->node);
    wheel->marks[level] |= (uint64_t)1 << slot;
}

void wheel_add(wheel_t *wheel, deadline_t *deadline, uint64_t now_ms) {
    if (wheel->armed == 0) {
        uint64_t now = now_ms / WHEEL_TICK_MS;
        for (int level = 0; level < WHEEL_LEVELS; level++)
            wheel->marks[level] = 0;
        if (now > wheel->tick) wheel->tick = now;
    }
    wheel->armed++;
    place(wheel, deadline, tick_of(wheel, deadline->at_ms));
}

/* The tick at which the next marked slot of a level begins, or UINT64_MAX. The slot of the current position lies a
   whole turn ahead: what belonged to it in this turn has been moved out of it. Marks of empty slots are wiped. */
static uint64_t next_of(wheel_t *wheel, int level) {
    uint64_t position = wheel->tick >> (BITS * level);
    unsigned from = (unsigned)(position + 1) % WHEEL_SLOTS;
    while (wheel->marks[level]) {
        uint64_t marks = wheel->marks[level];
        if (from) marks = marks >> from | marks << (WHEEL_SLOTS - from);
        unsigned ahead = (unsigned)__builtin_ctzll(marks);
        unsigned slot = (from + ahead) % WHEEL_SLOTS;
        if (!list_empty(&wheel->slots[level][slot]))
            return (position + 1 + ahead) << (BITS * level);
        wheel->marks[level] &= ~((uint64_t)1 << slot);
    }
    return UINT64_MAX;
}

static uint64_t next_tick(wheel_t *wheel) {
    uint64_t next = UINT64_MAX;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t tick = next_of(wheel, level);
        if (tick < next) next = tick;
    }
    return next;
}

uint64_t wheel_next_ms(wheel_t *wheel) {
    uint64_t tick = next_tick(wheel);
    return tick == UINT64_MAX ? UINT64_MAX : tick * WHEEL_TICK_MS;
}

/* Moves the slots of the higher levels that begin at the wheel's tick down, the highest first; what is due at this very
   tick goes straight to the due list. */
static void move_down(wheel_t *wheel) {
    for (int level = WHEEL_LEVELS - 1; level > 0; level--) {
        uint64_t span = (uint64_t)1 << (BITS * level);
        if (wheel->tick % span) continue;
        unsigned slot = (unsigned)(wheel->tick >> (BITS * level)) % WHEEL_SLOTS;
        list_t moving;
        list_init(&moving);
        list_splice(&moving, &wheel->slots[level][slot]);
        wheel->marks[level] &= ~((uint64_t)1 << slot);
        for (list_t *node; (node = list_shift(&moving));) {
            deadline_t *deadline = LIST_OWNER(node, deadline_t, node);
            if (deadline->at_ms <= wheel->tick * WHEEL_TICK_MS)
                list_push(&wheel->due, node);
            else
                place(wheel, deadline, tick_of(wheel, deadline->at_ms));
        }
    }
}

static void fire(wheel_t *wheel) {
    for (list_t *node; (node = list_shift(&wheel->due));) {
        deadline_t *deadline = LIST_OWNER(node, deadline_t, node);
        wheel->armed--;
        deadline->cb(deadline);
    }
}

void wheel_advance(wheel_t *wheel, uint64_t now_ms) {
    uint64_t now = now_ms / WHEEL_TICK_MS;
    while (wheel->armed) {
        uint64_t next = next_tick(wheel);
        if (next > now) break;
        wheel->tick = next;
        move_down(wheel);
        unsigned slot = (unsigned)next % WHEEL_SLOTS;
        list_splice(&wheel->due, &wheel->slots[0][slot]);
        wheel->marks[0] &= ~((uint64_t)1 << slot);
        fire(wheel);
    }
    if (now > wheel->tick) wheel->tick = now;
}
