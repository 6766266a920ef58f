/* lanes.c: opens a server's connections again after pauses, and keeps count of them. */
#include "base/lanes.h"
#include <stdio.h>

static void pause_one(lane_t *lane) {
    loop_t *loop = lane->lanes->loop;
    uint64_t now = loop_now(loop);
    deadline_set(loop, &lane->retry, now + backoff_next(&lane->backoff, now));
}

static void open_one(lane_t *lane) {
    lane->link = lane->lanes->open(lane);
    if (!lane->link) pause_one(lane);
}

static void on_retry(deadline_t *deadline) {
    open_one(LIST_OWNER(deadline, lane_t, retry));
}

static void close_one(lane_t *lane) {
    if (lane->link) lane->lanes->close(lane->link);
    lane->link = NULL;
}

void lanes_open(lanes_t *lanes) {
    for (int i = 0; i < lanes->count; i++) {
        lanes->of[i].lanes = lanes;
        deadline_init(&lanes->of[i].retry, on_retry);
        open_one(&lanes->of[i]);
    }
}

void lanes_close(lanes_t *lanes) {
    for (int i = 0; i < lanes->count; i++) {
        deadline_clear(&lanes->of[i].retry);
        close_one(&lanes->of[i]);
    }
}

void lanes_retire(lanes_t *lanes) {
    lanes->retired = true;
    for (int i = 0; i < lanes->count; i++) {
        deadline_clear(&lanes->of[i].retry);
        if (!lanes->of[i].up) close_one(&lanes->of[i]);
    }
}

bool lane_up(lane_t *lane) {
    lanes_t *lanes = lane->lanes;
    backoff_up(&lane->backoff, loop_now(lanes->loop));
    lane->up = true;
    lanes->failed = false;
    said_forget(&lanes->said);
    return lanes->up++ == 0;
}

lanes_news_t lane_down(lane_t *lane, const char *detail) {
    lanes_t *lanes = lane->lanes;
    bool was_up = lane->up;
    lane->link = NULL;
    lane->up = false;
    if (was_up) lanes->up--;
    if (lanes->retired) return LANES_SAME;
    pause_one(lane);
    if (lanes->up) return LANES_SAME;
    if (was_up) return LANES_LOST;
    lanes->failed = true;
    snprintf(lanes->fault, sizeof lanes->fault, "%s", detail);
    bool news = said_is_news(&lanes->said, detail, loop_now(lanes->loop));
    return news ? LANES_DOWN : LANES_SAME;
}
