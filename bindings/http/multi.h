/* multi.h: one curl multi handle on the loop: its sockets are polled, its timer is a timer of the loop. */
#ifndef PERIGEE_HTTP_MULTI_H
#define PERIGEE_HTTP_MULTI_H
#include "base/loop.h"
#include "http/late.h"

typedef struct multi multi_t;
/* A transfer is over; it has been removed already. Called from the loop, never inside multi_add. May add and remove
   others, but not delete the multi. */
typedef void (*multi_cb)(void *data, CURL *easy, CURLcode code);

multi_t *multi_new(
    loop_t *loop, const late_t *late, multi_cb done, void *data); /* NULL: no memory */
/* All transfers must have been removed. The memory goes on a later turn. */
void multi_delete(multi_t *multi);
int multi_add(multi_t *multi, CURL *easy); /* 0 or ERR_NO_MEMORY */
void multi_remove(multi_t *multi, CURL *easy);

#endif
