/* dial.h: connects a socket: looks the name up, tries its addresses in turn, each for its share of the time. */
#ifndef PERIGEE_REDIS_DIAL_H
#define PERIGEE_REDIS_DIAL_H
#include "base/loop.h"
#include "redis/url.h"

typedef struct redis_dial redis_dial_t;
/* fd is connected and the receiver's, or -1 with a negative libuv code in err. Never inside redis_dial_new. The
   dial is gone when it returns. */
typedef void (*redis_dial_cb)(void *data, int fd, int err);

/* NULL: no memory. The addresses of a name share the loop's time until until_ms, which does not end the last of them:
   redis_dial_stop does. */
redis_dial_t *redis_dial_new(
    loop_t *loop, const redis_endpoint_t *at, uint64_t until_ms, redis_dial_cb done, void *data);
/* Gives it up; done does not come. */
void redis_dial_stop(redis_dial_t *dial);

#endif
