/* script.h: scripts that run on the server, called by their digest, sent whole to a server that does not know them. */
#ifndef PERIGEE_REDIS_SCRIPT_H
#define PERIGEE_REDIS_SCRIPT_H
#include "redis/redis.h"

typedef struct redis_script {
    const char *text;
    char digest[41]; /* empty until the first call */
} redis_script_t;

/* A command that calls a script with one key. The caller keeps all of it until command.done; argv[0..3] are filled by
   redis_script_call, the arguments follow. */
#define REDIS_SCRIPT_ARGS 4
/* Prepares command (cleared, with done and data set) for argv[0..argc) and submits it: as redis_submit. */
int redis_script_call(redis_t *redis, redis_script_t *script, redis_command_t *command,
    span_t *argv, int argc, span_t key);
/* Inside done: whether the server did not know the script and now gets it whole; then done follows again. */
bool redis_script_again(redis_script_t *script, redis_command_t *command);

#endif
