/* intake.c: how much of an answer has come in while it is not whole. libpq does not say what it reads, so the socket is
   asked what waits in it, before and after. */
#include "postgres/intake.h"
#include <sys/ioctl.h>

#define UNCOUNTED                                                                                  \
    4 /* most answers are whole after one read: asking the socket would cost more than it tells */
#define LEAST 8192 /* libpq makes room for so much before it reads */

static size_t unread(const PGconn *conn) {
    int bytes = 0;
    return ioctl(PQsocket(conn), FIONREAD, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

/* The server fills the socket again meanwhile, which hides a part of what was read. */
static size_t least_read(size_t before, size_t after) {
    size_t least = before < LEAST ? before : LEAST;
    return after < before && before - after > least ? before - after : least;
}

bool postgres_intake_read(postgres_intake_t *intake, PGconn *conn) {
    bool counts = intake->reads++ >= UNCOUNTED;
    size_t before = counts ? unread(conn) : 0;
    bool alive = PQconsumeInput(conn) == 1;
    if (counts && alive) intake->bytes += least_read(before, unread(conn));
    return alive;
}

void postgres_intake_clear(postgres_intake_t *intake) {
    *intake = (postgres_intake_t){0};
}
