/* traffic.h: the requests in flight of one worker, and what they share: the edition on which they start, and the two
   buffers in which an answer is built. */
#ifndef PERIGEE_TRAFFIC_H
#define PERIGEE_TRAFFIC_H
#include "request.h"

typedef struct traffic {
    app_t *app; /* counted; new requests start on it; NULL before the first edition */
    struct traffic_slot {
        request_t *request;
        uint32_t epoch;
        uint32_t next_free;
    } * slots;
    uint32_t count, cap, free;
    buf_t body, lines;
} traffic_t;

void traffic_create(traffic_t *traffic);
/* No request may be left. */
void traffic_destroy(traffic_t *traffic);

/* Takes the request in and gives it a handle, a slot and its epoch: a handler may keep `req` after the request is gone.
   ERR_BUSY when 65,536 are in flight, ERR_NO_MEMORY. */
int traffic_enter(traffic_t *traffic, request_t *request);
void traffic_leave(request_t *request);
/* The request of a handle, or NULL when it has ended. */
request_t *traffic_find(const traffic_t *traffic, double handle);

/* Buffers for the answer being built, emptied by this call: its body, and its header lines. */
buf_t *traffic_body(traffic_t *traffic);
buf_t *traffic_lines(traffic_t *traffic);

#endif
