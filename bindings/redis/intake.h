/* intake.h: what a reply takes while it is being built, and no more of it than the limit. */
#ifndef PERIGEE_REDIS_INTAKE_H
#define PERIGEE_REDIS_INTAKE_H
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

/* Of one connection; its reader keeps the address. */
typedef struct redis_intake {
    redisReader *reader;
    const redisReplyObjectFunctions *build; /* the reader's own */
    size_t max;                             /* bytes that a reply may take; 0: any */
    size_t taken;                           /* by the reply that is being built */
    size_t arrived;                         /* bytes of the reply that is not whole yet */
    int type;                               /* of that reply, once its beginning is known */
    bool over;
} redis_intake_t;

void redis_intake_create(redis_intake_t *intake, redisReader *reader, size_t max);
/* redisBufferRead, counted. */
int redis_intake_read(redis_intake_t *intake, redisContext *context);
/* The next reply, which is then the caller's to free, or NULL. *over: it was too large; what there is of it is gone. */
int redis_intake_next(
    redis_intake_t *intake, redisContext *context, redisReply **reply, bool *over);
/* The reply that is not whole is so large that its connection is better given up than read to its end. */
bool redis_intake_is_flooded(const redis_intake_t *intake);

#endif
