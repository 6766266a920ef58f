/* encode.h: a command in the protocol's form. */
#ifndef PERIGEE_REDIS_ENCODE_H
#define PERIGEE_REDIS_ENCODE_H
#include <hiredis/sds.h>
#include "base/bytes.h"

/* Appends the command to *out, whose memory may move; ERR_NO_MEMORY leaves *out as it was. */
int redis_encode(sds *out, const span_t *argv, int argc);

#endif
