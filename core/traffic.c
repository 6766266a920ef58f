/* traffic.c: slots with epochs for the requests in flight, and the buffers of whichever answer is being built. */
#include "traffic.h"
#include "base/err.h"
#include <stdlib.h>

#define SLOTS_MAX 65536
#define NO_SLOT UINT32_MAX
/* A grown answer buffer is given back, so that one large answer does not stay in memory for good. */
#define BUFFER_KEEP (256 * 1024)

void traffic_create(traffic_t *traffic) {
    *traffic = (traffic_t){.free = NO_SLOT};
    buf_create(&traffic->body);
    buf_create(&traffic->lines);
}

void traffic_destroy(traffic_t *traffic) {
    app_unref(traffic->app);
    free(traffic->slots);
    buf_destroy(&traffic->body);
    buf_destroy(&traffic->lines);
}

static int grow(traffic_t *traffic) {
    if (traffic->cap >= SLOTS_MAX) return ERR_BUSY;
    uint32_t cap = traffic->cap ? traffic->cap * 2 : 64;
    void *more = realloc(traffic->slots, cap * sizeof *traffic->slots);
    if (!more) return ERR_NO_MEMORY;
    traffic->slots = more;
    traffic->cap = cap;
    return 0;
}

int traffic_enter(traffic_t *traffic, request_t *request) {
    uint32_t at = traffic->free;
    if (at != NO_SLOT) {
        traffic->free = traffic->slots[at].next_free;
    } else {
        int err = traffic->count == traffic->cap ? grow(traffic) : 0;
        if (err) return err;
        at = traffic->count++;
        traffic->slots[at].epoch = 0;
    }
    traffic->slots[at].request = request;
    request->traffic = traffic;
    request->handle = (double)traffic->slots[at].epoch * SLOTS_MAX + at;
    return 0;
}

void traffic_leave(request_t *request) {
    traffic_t *traffic = request->traffic;
    uint32_t at = (uint32_t)((uint64_t)request->handle % SLOTS_MAX);
    traffic->slots[at].request = NULL;
    traffic->slots[at].epoch++;
    traffic->slots[at].next_free = traffic->free;
    traffic->free = at;
}

request_t *traffic_find(const traffic_t *traffic, double handle) {
    if (!(handle >= 0 && handle < 9007199254740992.0))
        return NULL; /* a script may have written it */
    uint64_t whole = (uint64_t)handle;
    uint32_t at = (uint32_t)(whole % SLOTS_MAX);
    if (at >= traffic->count || traffic->slots[at].epoch != whole / SLOTS_MAX) return NULL;
    return traffic->slots[at].request;
}

static buf_t *emptied(buf_t *buf) {
    if (buf->cap > BUFFER_KEEP) {
        buf_destroy(buf);
        buf_create(buf);
    }
    buf_reset(buf);
    return buf;
}

buf_t *traffic_body(traffic_t *traffic) {
    return emptied(&traffic->body);
}

buf_t *traffic_lines(traffic_t *traffic) {
    return emptied(&traffic->lines);
}
