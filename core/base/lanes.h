/* lanes.h: a few connections to one server that come back when they are lost, and whether the server is down. */
#ifndef PERIGEE_BASE_LANES_H
#define PERIGEE_BASE_LANES_H
#include "base/backoff.h"
#include "base/loop.h"
#include "base/said.h"

#define LANES_MOST 8
#define LANES_FAULT_MAX 200

typedef struct lanes lanes_t;

/* A connection, or the pause before the next one. */
typedef struct lane {
    lanes_t *lanes;
    void *link; /* the engine's; NULL during a pause */
    bool up;
    deadline_t retry;
    backoff_t backoff;
} lane_t;

struct lanes {
    /* The engine fills these. */
    loop_t *loop;
    int count;
    /* Begins to connect: lane_up or lane_down follows on a later turn. NULL: no memory. */
    void *(*open)(lane_t *lane);
    void (*close)(void *link);

    int up;                      /* how many are */
    bool retired;                /* what is lost stays so */
    bool failed;                 /* the last attempt did, and none is up */
    char fault[LANES_FAULT_MAX]; /* of that attempt */
    said_t said;
    lane_t of[LANES_MOST];
};

/* Opens all, and each again for ever, with pauses that double up to a second, jittered. */
void lanes_open(lanes_t *lanes);
/* Closes all. */
void lanes_close(lanes_t *lanes);
/* Only what is up stays, until it is lost. */
void lanes_retire(lanes_t *lanes);

/* The engine tells of a connection: it is open (true: the first of them), or it has failed or is lost, and gone. */
bool lane_up(lane_t *lane);
typedef enum {
    LANES_SAME,
    LANES_LOST, /* none is up any more; one attempt is made before the server counts as down */
    LANES_DOWN /* that attempt, or the first of all, has failed too; or a later one, for another reason */
} lanes_news_t;
lanes_news_t lane_down(lane_t *lane, const char *detail);

#endif
