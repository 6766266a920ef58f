/* silent_place.h: a bench with an engine whose server accepts and never says a word, or where nothing listens. */
#ifndef PERIGEE_TESTS_SILENT_PLACE_H
#define PERIGEE_TESTS_SILENT_PLACE_H
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lua/bench.h"

#define LONG_MS 3600000

typedef struct place {
    bench_t *bench;
    int listener;
} place_t;

/* Opens the engine of that port of the loopback in the bench's VM. */
typedef void (*place_opener_t)(bench_t *bench, int port);

static inline int place_reserve(int *port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return listener;
}

static inline int place_open(void **state, bool silent, place_opener_t open_engine) {
    int port;
    place_t *place = calloc(1, sizeof *place);
    bench_open((void **)&place->bench);
    place->listener = place_reserve(&port);
    if (silent) assert_int_equal(listen(place->listener, 64), 0);
    open_engine(place->bench, port);
    *state = place;
    return 0;
}

static inline int place_close(void **state) {
    place_t *place = *state;
    bench_close((void **)&place->bench);
    close(place->listener);
    free(place);
    return 0;
}

static inline void place_expect(void **state, const char *script, const char *text) {
    bench_expect(((place_t *)*state)->bench, script, text);
}

#endif
