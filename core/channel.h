/* channel.h: the worker's end of its line to the master, on the worker's loop. */
#ifndef PERIGEE_CHANNEL_H
#define PERIGEE_CHANNEL_H
#include "base/loop.h"
#include "message.h"

typedef struct channel channel_t;
/* A message, alive during the call; or NULL, once: the master is gone or spoke nonsense, so the worker should drain and
   end; the channel closes itself after that call. May call channel_send and channel_close. */
typedef void (*channel_cb)(void *data, const message_t *message);

/* Takes over fd (a connected stream socket). NULL when out of memory or the fd cannot be polled; fd is closed then.
   The channel does not keep the loop alive. */
channel_t *channel_open(loop_t *loop, int fd, channel_cb cb, void *data);
/* Sends now what the socket takes and the rest later. ERR_BUSY when 8 MB wait already, ERR_CLOSED. */
int channel_send(channel_t *channel, const message_t *message);
/* Stops now, frees on a later turn. */
void channel_close(channel_t *channel);

#endif
