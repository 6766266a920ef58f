/* intake.c: what a reply takes while it is being built. One that is too large is read to its end, so that the replies
   behind it find their commands, but nothing more of it is kept. */
#include "redis/intake.h"

#define OVERHEAD 16                    /* of one piece of memory */
#define ELEMENTS_MAX ((size_t)1 << 40) /* more are beyond any limit */
#define SWALLOWED 4 /* so many times the limit are read before the connection is given up */

/* Stands for what was not built. */
static redisReply refused;

/* Whether so much more may be taken for an object of the reply. */
static bool admits(const redisReadTask *task, size_t bytes) {
    redis_intake_t *intake = task->privdata;
    if (!task->parent) {
        intake->taken = 0;
        intake->over = false;
        intake->type = task->type;
    }
    intake->taken += sizeof(redisReply) + OVERHEAD + bytes;
    intake->over |= intake->max && intake->taken > intake->max;
    return !intake->over;
}

static const redisReplyObjectFunctions *build_of(const redisReadTask *task) {
    return ((redis_intake_t *)task->privdata)->build;
}

static void *build_string(const redisReadTask *task, char *text, size_t len) {
    return admits(task, len + OVERHEAD) ? build_of(task)->createString(task, text, len) : &refused;
}

/* The number is the server's word; the room for all of them would be taken at once. */
static void *build_array(const redisReadTask *task, size_t elements) {
    size_t counted = elements < ELEMENTS_MAX ? elements : ELEMENTS_MAX;
    bool admitted = admits(task, counted * sizeof(redisReply *));
    return admitted ? build_of(task)->createArray(task, elements) : &refused;
}

static void *build_integer(const redisReadTask *task, long long value) {
    return admits(task, 0) ? build_of(task)->createInteger(task, value) : &refused;
}

static void *build_double(const redisReadTask *task, double value, char *text, size_t len) {
    return admits(task, len + OVERHEAD) ? build_of(task)->createDouble(task, value, text, len)
                                        : &refused;
}

static void *build_nil(const redisReadTask *task) {
    return admits(task, 0) ? build_of(task)->createNil(task) : &refused;
}

static void *build_bool(const redisReadTask *task, int value) {
    return admits(task, 0) ? build_of(task)->createBool(task, value) : &refused;
}

static void discard(void *object) {
    if (object != &refused) freeReplyObject(object);
}

static redisReplyObjectFunctions counted = {
    build_string, build_array, build_integer, build_double, build_nil, build_bool, discard};

void redis_intake_create(redis_intake_t *intake, redisReader *reader, size_t max) {
    *intake = (redis_intake_t){.reader = reader, .build = reader->fn, .max = max};
    reader->fn = &counted;
    reader->privdata = intake;
}

int redis_intake_read(redis_intake_t *intake, redisContext *context) {
    size_t before = intake->reader->len;
    int err = redisBufferRead(context);
    if (err == REDIS_OK) intake->arrived += intake->reader->len - before;
    return err;
}

int redis_intake_next(
    redis_intake_t *intake, redisContext *context, redisReply **reply, bool *over) {
    void *built = NULL;
    int err = redisGetReplyFromReader(context, &built);
    *over = err == REDIS_OK && built && intake->over;
    if (*over) discard(built);
    *reply = *over ? NULL : built;
    if (built) intake->arrived = intake->reader->len - intake->reader->pos;
    return err;
}

bool redis_intake_is_flooded(const redis_intake_t *intake) {
    return intake->max && intake->arrived / SWALLOWED > intake->max;
}
