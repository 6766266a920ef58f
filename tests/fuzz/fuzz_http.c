/* fuzz_http.c: any bytes on a connection, in pieces of any size: no crash, and the same requests as in one piece. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/err.h"
#include "base/ident.h"
#include "net/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PARKED_MAX 64
#define ASKED_MAX 512

/* One connection's life: what its handler saw, and which requests still wait. */
typedef struct life {
    net_t *net;
    conn_t *conn;
    char seen[ASKED_MAX][65]; /* a digest of each request, in order of arrival */
    exchange_t *parked[PARKED_MAX];
    size_t nparked, asked, ended;
} life_t;

static void add(ident_hash_t *hash, span_t text) {
    ident_hash_add(hash, (span_t){(const char *)&text.len, sizeof text.len});
    if (text.len > 0) ident_hash_add(hash, text);
}

static void digest(const exchange_t *x, char out[65]) {
    const span_t parts[] = {x->method_text, x->target, x->host, x->path, x->query, x->body};
    ident_hash_t hash;
    ident_hash_start(&hash);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        add(&hash, parts[i]);
    for (size_t i = 0; i < x->nheaders; i++) {
        add(&hash, x->headers[i].name);
        add(&hash, x->headers[i].value);
    }
    ident_hash_end(&hash, out);
}

static void answer(exchange_t *x) {
    digest(x, x->user);
    answer_t ok = {.status = 200, .body = x->path};
    exchange_answer(x, &ok);
}

/* A path with a 'w' waits: its request is looked at only after the bytes it came in are gone. */
static void on_request(void *data, exchange_t *x) {
    life_t *life = *(life_t **)data;
    if (life->asked == ASKED_MAX) abort();
    x->user = life->seen[life->asked++];
    if (x->minor > 1 || (x->minor == 1 && x->host.len == 0)) abort();
    if (memchr(x->path.ptr, 'w', x->path.len) != NULL && life->nparked < PARKED_MAX) {
        life->parked[life->nparked++] = x;
    } else {
        answer(x);
    }
}

static void on_gone(void *data, exchange_t *x) {
    life_t *life = *(life_t **)data;
    for (size_t i = 0; i < life->nparked; i++)
        if (life->parked[i] == x) life->parked[i] = NULL;
}

static void on_ended(void *data, exchange_t *x) {
    (void)x;
    (*(life_t **)data)->ended++;
}

static life_t *current;
static loop_t *loop;

static net_t *open_net(void) {
    static net_t *net;
    if (net != NULL) return net;
    net_limits_t limits;
    net_limits_default(&limits);
    exchange_ops_t ops = {
        .request = on_request, .gone = on_gone, .ended = on_ended, .data = &current};
    loop = loop_new();
    net = net_new(loop, &limits, &ops);
    if (net == NULL) abort();
    return net;
}

static bool alive(const life_t *life) {
    return net_count(life->net) > 0;
}

static void answer_parked(life_t *life) {
    while (life->nparked > 0) {
        size_t waiting = life->nparked;
        life->nparked = 0;
        for (size_t i = 0; i < waiting; i++)
            if (life->parked[i] != NULL) answer(life->parked[i]);
        loop_turn(loop, 0);
    }
}

/* The copy ends where the piece ends and goes right after, so that the sanitizer sees every reach beyond it. */
static void feed(life_t *life, const uint8_t *data, size_t len) {
    if (alive(life) && life->conn->held.len > 0) answer_parked(life);
    if (!alive(life) || life->conn->state == READ_DEAF) return;
    char *piece = malloc(len);
    if (piece == NULL) abort();
    memcpy(piece, data, len);
    conn_feed(life->conn, piece, len);
    free(piece);
}

/* Returns how many requests the handler saw; their digests stand in life->seen. */
static size_t live(life_t *life, const uint8_t *data, size_t size, size_t piece) {
    int ends[2];
    memset(life, 0, sizeof *life);
    life->net = open_net();
    current = life;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) abort();
    life->conn = conn_open(life->net, ends[0], "");
    for (size_t at = 0; at < size; at += piece)
        feed(life, data + at, size - at < piece ? size - at : piece);
    answer_parked(life);
    if (alive(life)) conn_close(life->conn);
    loop_turn(loop, 0);
    close(ends[1]);
    if (life->asked != life->ended || net_count(life->net) != 0) abort();
    return life->asked;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static life_t whole, pieces;
    if (size < 2 || size > 4096) return 0;
    size_t asked = live(&whole, data + 1, size - 1, size - 1);
    if (live(&pieces, data + 1, size - 1, 1 + data[0] % 61) != asked) abort();
    if (memcmp(whole.seen, pieces.seen, sizeof whole.seen) != 0) abort();
    return 0;
}
