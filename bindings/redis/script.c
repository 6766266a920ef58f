/* script.c: calls scripts by their digest, and again with their text. */
#include "redis/script.h"
#include <openssl/evp.h>
#include <stdio.h>

static void take_digest(redis_script_t *script) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned count = 0;
    EVP_Digest(script->text, strlen(script->text), bytes, &count, EVP_sha1(), NULL);
    for (unsigned i = 0; i < count && i < 20; i++)
        snprintf(script->digest + 2 * i, 3, "%02x", bytes[i]);
}

int redis_script_call(redis_t *redis, redis_script_t *script, redis_command_t *command,
    span_t *argv, int argc, span_t key) {
    if (!script->digest[0]) take_digest(script);
    argv[0] = SPAN("EVALSHA");
    argv[1] = span_of(script->digest);
    argv[2] = SPAN("1");
    argv[3] = key;
    command->argv = argv;
    command->argc = argc;
    command->key = 3;
    return redis_submit(redis, command);
}

bool redis_script_again(redis_script_t *script, redis_command_t *command) {
    if (!command->reply || !redis_reply_is(command->reply, "NOSCRIPT")) return false;
    span_t *argv = (span_t *)command->argv;
    redis_t *redis = command->redis;
    redis_command_t again = {.argv = argv,
        .argc = command->argc,
        .key = command->key,
        .repeatable = command->repeatable,
        .deadline_ms = command->deadline_ms,
        .done = command->done,
        .data = command->data};
    argv[0] = SPAN("EVAL");
    argv[1] = span_of(script->text);
    *command = again;
    int err = redis_submit(redis, command);
    if (!err) return true;
    command->err = err;
    return false;
}
