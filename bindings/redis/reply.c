/* reply.c: what a server's error reply means to the rest. */
#include "base/err.h"
#include "redis/redis.h"

static const struct {
    const char *code;
    int err;
} CODES[] = {
    {"LOADING", ERR_UNAVAILABLE},
    {"READONLY", ERR_UNAVAILABLE},
    {"MASTERDOWN", ERR_UNAVAILABLE},
    {"CLUSTERDOWN", ERR_UNAVAILABLE},
    {"MOVED", ERR_UNAVAILABLE},
    {"ASK", ERR_UNAVAILABLE},
    {"TRYAGAIN", ERR_UNAVAILABLE},
    {"OOM", ERR_UNAVAILABLE},
    {"MISCONF", ERR_UNAVAILABLE},
    {"NOREPLICAS", ERR_UNAVAILABLE},
    {"BUSY", ERR_UNAVAILABLE},
    {"UNKILLABLE", ERR_UNAVAILABLE},
    {"NOAUTH", ERR_UNAVAILABLE},
    {"WRONGPASS", ERR_UNAVAILABLE},
    {"NOPERM", ERR_UNAVAILABLE},
    {"EXECABORT", ERR_CONFLICT},
    {"BUSYGROUP", ERR_CONFLICT},
    {"BUSYKEY", ERR_CONFLICT},
};

bool redis_reply_is(const redisReply *reply, const char *code) {
    size_t len = strlen(code);
    return reply && reply->type == REDIS_REPLY_ERROR && reply->len >= len &&
           memcmp(reply->str, code, len) == 0 && (reply->len == len || reply->str[len] == ' ');
}

int redis_reply_err(const redisReply *reply) {
    if (!reply || reply->type != REDIS_REPLY_ERROR) return 0;
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        if (redis_reply_is(reply, CODES[i].code)) return CODES[i].err;
    return ERR_INTERNAL;
}
