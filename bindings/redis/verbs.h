/* verbs.h: what the bridge must know of a command by its name: which argument routes it, and whether it only reads. */
#ifndef PERIGEE_REDIS_VERBS_H
#define PERIGEE_REDIS_VERBS_H
#include "base/bytes.h"

enum {
    VERB_READS = 1, /* changes nothing: may be sent again, and a replica may answer */
    VERB_MAP = 2,   /* RESP2's flat list of names and values stands for a map */
    VERB_SCORE = 4, /* RESP2's text stands for a number */
    VERB_SCORED = 8 /* RESP2's flat list of members and scores stands for pairs */
};

/* 0 for a name that is not known. The case of letters does not matter. */
unsigned verb_flags(span_t name);
/* The same for a whole command: VERB_SCORED only when it asks for scores. */
unsigned verb_shape(const span_t *argv, int argc);
/* Index in argv of the key that routes the command; 0 when it has none. A name that is not known has its key first;
   so has PUBLISH, whose messages keep their order only if those of a channel take one way. */
int verb_key(const span_t *argv, int argc);

#endif
