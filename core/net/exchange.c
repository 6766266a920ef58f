/* exchange.c: the pool of exchanges, their header lookup, and the copy that lets one outlive its read callback. */
#include "net/conn.h"
#include "base/err.h"
#include <stdlib.h>

#define POOL_MAX 64
#define KEPT_BUFFER 16384 /* a larger buffer is not worth keeping in the pool */

static slot_t *allocate(const net_t *net) {
    slot_t *slot = malloc(sizeof *slot + net->limits.fields_max * sizeof(header_t));
    if (slot == NULL) return NULL;
    arena_create(&slot->x.arena);
    buf_create(&slot->part);
    buf_create(&slot->body);
    buf_create(&slot->out);
    return slot;
}

void slot_discard(slot_t *slot) {
    arena_destroy(&slot->x.arena);
    buf_destroy(&slot->part);
    buf_destroy(&slot->body);
    buf_destroy(&slot->out);
    free(slot);
}

/* Everything but the arena and the buffers, which are empty in the pool. */
static void reset(slot_t *slot, conn_t *conn) {
    arena_t arena = slot->x.arena;
    memset(&slot->x, 0, sizeof slot->x);
    slot->x.arena = arena;
    slot->x.conn = conn;
    slot->x.loop = conn->net->loop;
    slot->x.headers = slot->headers;
    slot->x.started_ns = conn->net->read_ns;
    memcpy(slot->x.peer, conn->peer, sizeof slot->x.peer);
    slot->token = (span_t){NULL, 0};
    slot->head_bytes = slot->extra_bytes = slot->ntrailers = slot->chunks = slot->received = 0;
    slot->body_limit = conn->net->limits.body_max;
    slot->begin = slot->method_end = slot->target_end = 0;
    slot->dispatched = slot->placed = slot->keep_alive = slot->closes = slot->expects = false;
    list_init(&slot->node);
}

slot_t *slot_take(conn_t *conn) {
    net_t *net = conn->net;
    list_t *node = list_shift(&net->pool);
    slot_t *slot = node != NULL ? LIST_OWNER(node, slot_t, node) : allocate(net);
    if (slot == NULL) return NULL;
    if (node != NULL) net->npool--;
    reset(slot, conn);
    return slot;
}

static void empty(buf_t *buf) {
    if (buf->cap > KEPT_BUFFER) buf_destroy(buf);
    buf_reset(buf);
}

void slot_release(slot_t *slot) {
    net_t *net = slot->x.conn->net;
    list_remove(&slot->node);
    if (slot->dispatched && net->ops.ended != NULL) net->ops.ended(net->ops.data, &slot->x);
    arena_reset(&slot->x.arena);
    empty(&slot->part);
    empty(&slot->body);
    empty(&slot->out);
    if (net->deleted || net->npool >= POOL_MAX) {
        slot_discard(slot);
        return;
    }
    list_push(&net->pool, &slot->node);
    net->npool++;
}

void slot_abandon(slot_t *slot) {
    net_t *net = slot->x.conn->net;
    bool tell = slot->dispatched && !slot->x.answered;
    slot->x.answered = true; /* an answer from within `gone` has nowhere to go */
    if (tell && net->ops.gone != NULL) net->ops.gone(net->ops.data, &slot->x);
    slot_release(slot);
}

static bool passing(const span_t *span, span_t window) {
    uintptr_t at = (uintptr_t)span->ptr, from = (uintptr_t)window.ptr;
    return span->len > 0 && at >= from && at < from + window.len;
}

static void move(span_t *span, span_t window, char **to) {
    if (!passing(span, window)) return;
    memcpy(*to, span->ptr, span->len);
    span->ptr = *to;
    *to += span->len;
}

static size_t passing_size(slot_t *slot, span_t window) {
    exchange_t *x = &slot->x;
    const span_t *singles[] = {&x->target, &x->path, &x->query, &x->body};
    size_t size = 0;
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++)
        if (passing(singles[i], window)) size += singles[i]->len;
    for (size_t i = 0; i < x->nheaders; i++) {
        if (passing(&x->headers[i].name, window)) size += x->headers[i].name.len;
        if (passing(&x->headers[i].value, window)) size += x->headers[i].value.len;
    }
    return size;
}

int slot_save(slot_t *slot) {
    exchange_t *x = &slot->x;
    span_t window = x->conn->net->window;
    size_t size = passing_size(slot, window);
    if (size == 0) return ERR_OK;
    char *to = arena_alloc(&x->arena, size);
    if (to == NULL) return ERR_NO_MEMORY;
    move(&x->target, window, &to);
    move(&x->path, window, &to);
    move(&x->query, window, &to);
    move(&x->body, window, &to);
    for (size_t i = 0; i < x->nheaders; i++) {
        move(&x->headers[i].name, window, &to);
        move(&x->headers[i].value, window, &to);
    }
    return ERR_OK;
}

int exchange_keep(exchange_t *exchange) {
    if (exchange->kept) return ERR_OK;
    int err = slot_save((slot_t *)exchange);
    if (err == ERR_OK) exchange->kept = true;
    return err;
}

span_t exchange_header(const exchange_t *exchange, span_t name) {
    for (size_t i = 0; i < exchange->nheaders; i++)
        if (span_ieq(exchange->headers[i].name, name)) return exchange->headers[i].value;
    return (span_t){NULL, 0};
}
