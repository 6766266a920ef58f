/* refuse.c: which commands a connection takes, and which leave something open on it. */
#include "redis/refuse.h"

typedef struct nature_of {
    const char *name;
    redis_nature_t nature;
} nature_of_t;

/* By first letter of the upper-case name, in order; only what is not plain. */
static const nature_of_t NAMES[] = {
    {"ASKING", REDIS_DRIVERS},
    {"AUTH", REDIS_DRIVERS},
    {"BLMOVE", REDIS_OWN},
    {"BLMPOP", REDIS_OWN},
    {"BLPOP", REDIS_OWN},
    {"BRPOP", REDIS_OWN},
    {"BRPOPLPUSH", REDIS_OWN},
    {"BZMPOP", REDIS_OWN},
    {"BZPOPMAX", REDIS_OWN},
    {"BZPOPMIN", REDIS_OWN},
    {"DISCARD", REDIS_EXEC},
    {"EXEC", REDIS_EXEC},
    {"HELLO", REDIS_DRIVERS},
    {"MONITOR", REDIS_DRIVERS},
    {"MULTI", REDIS_MULTI},
    {"PSUBSCRIBE", REDIS_DRIVERS},
    {"PSYNC", REDIS_DRIVERS},
    {"PUNSUBSCRIBE", REDIS_DRIVERS},
    {"QUIT", REDIS_DRIVERS},
    {"READONLY", REDIS_DRIVERS},
    {"READWRITE", REDIS_DRIVERS},
    {"REPLCONF", REDIS_DRIVERS},
    {"RESET", REDIS_DRIVERS},
    {"SELECT", REDIS_DRIVERS},
    {"SSUBSCRIBE", REDIS_DRIVERS},
    {"SUBSCRIBE", REDIS_DRIVERS},
    {"SUNSUBSCRIBE", REDIS_DRIVERS},
    {"SYNC", REDIS_DRIVERS},
    {"UNSUBSCRIBE", REDIS_DRIVERS},
    {"UNWATCH", REDIS_UNWATCH},
    {"WAIT", REDIS_OWN},
    {"WAITAOF", REDIS_OWN},
    {"WATCH", REDIS_WATCH},
};

/* XREAD and XREADGROUP block when BLOCK stands before STREAMS. */
static bool blocks(const span_t *argv, int argc) {
    for (int i = 1; i < argc && !span_ieq(argv[i], SPAN("STREAMS")); i++)
        if (span_ieq(argv[i], SPAN("BLOCK"))) return true;
    return false;
}

/* REPLY silences answers, TRACKING sends messages nobody asked for, a script that is debugged talks on its own. */
static bool drivers_part(const span_t *argv, int argc) {
    if (argc < 2) return false;
    if (span_ieq(argv[0], SPAN("SCRIPT"))) return span_ieq(argv[1], SPAN("DEBUG"));
    return span_ieq(argv[1], SPAN("REPLY")) || span_ieq(argv[1], SPAN("TRACKING"));
}

redis_nature_t redis_nature(const span_t *argv, int argc) {
    char first = (char)(argv[0].len ? argv[0].ptr[0] & ~0x20 : 0);
    if (first == 'X' && (span_ieq(argv[0], SPAN("XREAD")) || span_ieq(argv[0], SPAN("XREADGROUP"))))
        return blocks(argv, argc) ? REDIS_OWN : REDIS_PLAIN;
    if ((first == 'C' && span_ieq(argv[0], SPAN("CLIENT"))) ||
        (first == 'S' && span_ieq(argv[0], SPAN("SCRIPT"))))
        return drivers_part(argv, argc) ? REDIS_DRIVERS : REDIS_PLAIN;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES && NAMES[i].name[0] <= first; i++)
        if (NAMES[i].name[0] == first && span_ieq(argv[0], span_of(NAMES[i].name)))
            return NAMES[i].nature;
    return REDIS_PLAIN;
}
