/* verbs.c: the table of commands whose key is not the first argument, or that only read. */
#include "redis/verbs.h"
#include <stdlib.h>
#include <strings.h>

/* Where a key is that has no fixed place. */
enum { AFTER_COUNT = -1, AFTER_STREAMS = -2 };

typedef struct verb {
    char name[18];
    int key;
    unsigned flags;
} verb_t;

#define READ VERB_READS

/* Sorted by the name in lower case, as strcasecmp sees it: it is searched by halves. */
static const verb_t VERBS[] = {
    {"ACL", 0, 0},
    {"BITCOUNT", 1, READ},
    {"BITFIELD_RO", 1, READ},
    {"BITOP", 2, 0},
    {"BITPOS", 1, READ},
    {"BLMPOP", 3, 0},
    {"BZMPOP", 3, 0},
    {"CLIENT", 0, 0},
    {"CLUSTER", 0, 0},
    {"COMMAND", 0, READ},
    {"CONFIG", 0, VERB_MAP},
    {"DBSIZE", 0, READ},
    {"DISCARD", 0, 0},
    {"DUMP", 1, READ},
    {"ECHO", 0, READ},
    {"EVAL", AFTER_COUNT, 0},
    {"EVAL_RO", AFTER_COUNT, READ},
    {"EVALSHA", AFTER_COUNT, 0},
    {"EVALSHA_RO", AFTER_COUNT, READ},
    {"EXEC", 0, 0},
    {"EXISTS", 1, READ},
    {"EXPIRETIME", 1, READ},
    {"FCALL", AFTER_COUNT, 0},
    {"FCALL_RO", AFTER_COUNT, READ},
    {"FLUSHALL", 0, 0},
    {"FLUSHDB", 0, 0},
    {"FUNCTION", 0, 0},
    {"GEODIST", 1, READ},
    {"GEOHASH", 1, READ},
    {"GEOPOS", 1, READ},
    {"GEOSEARCH", 1, READ},
    {"GET", 1, READ},
    {"GETBIT", 1, READ},
    {"GETRANGE", 1, READ},
    {"HEXISTS", 1, READ},
    {"HGET", 1, READ},
    {"HGETALL", 1, READ | VERB_MAP},
    {"HKEYS", 1, READ},
    {"HLEN", 1, READ},
    {"HMGET", 1, READ},
    {"HRANDFIELD", 1, READ},
    {"HSCAN", 1, READ},
    {"HSTRLEN", 1, READ},
    {"HVALS", 1, READ},
    {"INFO", 0, READ},
    {"KEYS", 0, READ},
    {"LASTSAVE", 0, READ},
    {"LATENCY", 0, 0},
    {"LCS", 1, READ},
    {"LINDEX", 1, READ},
    {"LLEN", 1, READ},
    {"LMPOP", 2, 0},
    {"LOLWUT", 0, READ},
    {"LPOS", 1, READ},
    {"LRANGE", 1, READ},
    {"MEMORY", 2, READ},
    {"MGET", 1, READ},
    {"MIGRATE", 3, 0},
    {"MULTI", 0, 0},
    {"OBJECT", 2, READ},
    {"PEXPIRETIME", 1, READ},
    {"PFCOUNT", 1, READ},
    {"PING", 0, READ},
    {"PTTL", 1, READ},
    {"PUBSUB", 0, READ},
    {"RANDOMKEY", 0, READ},
    {"ROLE", 0, READ},
    {"SCAN", 0, READ},
    {"SCARD", 1, READ},
    {"SCRIPT", 0, 0},
    {"SDIFF", 1, READ},
    {"SINTER", 1, READ},
    {"SINTERCARD", 2, READ},
    {"SISMEMBER", 1, READ},
    {"SLOWLOG", 0, 0},
    {"SMEMBERS", 1, READ},
    {"SMISMEMBER", 1, READ},
    {"SORT_RO", 1, READ},
    {"SRANDMEMBER", 1, READ},
    {"SSCAN", 1, READ},
    {"STRLEN", 1, READ},
    {"SUBSTR", 1, READ},
    {"SUNION", 1, READ},
    {"SWAPDB", 0, 0},
    {"TIME", 0, READ},
    {"TTL", 1, READ},
    {"TYPE", 1, READ},
    {"UNWATCH", 0, 0},
    {"WAIT", 0, 0},
    {"XGROUP", 2, 0},
    {"XINFO", 2, READ | VERB_MAP},
    {"XLEN", 1, READ},
    {"XPENDING", 1, READ},
    {"XRANGE", 1, READ},
    {"XREAD", AFTER_STREAMS, READ | VERB_MAP},
    {"XREADGROUP", AFTER_STREAMS, VERB_MAP},
    {"XREVRANGE", 1, READ},
    {"ZCARD", 1, READ},
    {"ZCOUNT", 1, READ},
    {"ZDIFF", 2, READ | VERB_SCORED},
    {"ZINCRBY", 1, VERB_SCORE},
    {"ZINTER", 2, READ | VERB_SCORED},
    {"ZINTERCARD", 2, READ},
    {"ZLEXCOUNT", 1, READ},
    {"ZMPOP", 2, 0},
    {"ZMSCORE", 1, READ},
    {"ZRANDMEMBER", 1, READ | VERB_SCORED},
    {"ZRANGE", 1, READ | VERB_SCORED},
    {"ZRANGEBYLEX", 1, READ},
    {"ZRANGEBYSCORE", 1, READ | VERB_SCORED},
    {"ZRANK", 1, READ},
    {"ZREVRANGE", 1, READ | VERB_SCORED},
    {"ZREVRANGEBYLEX", 1, READ},
    {"ZREVRANGEBYSCORE", 1, READ | VERB_SCORED},
    {"ZREVRANK", 1, READ},
    {"ZSCAN", 1, READ},
    {"ZSCORE", 1, READ | VERB_SCORE},
    {"ZUNION", 2, READ | VERB_SCORED},
};

static int compare(const void *key, const void *entry) {
    return strcasecmp(key, ((const verb_t *)entry)->name);
}

static const verb_t *find(span_t name) {
    char text[sizeof VERBS[0].name];
    if (name.len >= sizeof text || memchr(name.ptr, '\0', name.len)) return NULL;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    return bsearch(text, VERBS, sizeof VERBS / sizeof *VERBS, sizeof *VERBS, compare);
}

unsigned verb_flags(span_t name) {
    const verb_t *verb = find(name);
    return verb ? verb->flags : 0;
}

unsigned verb_shape(const span_t *argv, int argc) {
    unsigned flags = verb_flags(argv[0]);
    if (!(flags & VERB_SCORED)) return flags;
    for (int i = 2; i < argc; i++)
        if (span_ieq(argv[i], SPAN("WITHSCORES"))) return flags;
    return flags & ~(unsigned)VERB_SCORED;
}

/* XREAD [COUNT n] [BLOCK ms] STREAMS key …; a group or a consumer may have the word as its name, so that only what can
   stand before it is skipped. */
static int after_streams(const span_t *argv, int argc) {
    int at = span_ieq(argv[0], SPAN("XREADGROUP")) ? 4 : 1;
    while (at + 1 < argc && !span_ieq(argv[at], SPAN("STREAMS")))
        at += span_ieq(argv[at], SPAN("NOACK")) ? 1 : 2;
    return at + 1 < argc ? at + 1 : 0;
}

int verb_key(const span_t *argv, int argc) {
    uint64_t count;
    const verb_t *verb = find(argv[0]);
    int key = verb ? verb->key : 1;
    if (key == AFTER_STREAMS) return after_streams(argv, argc);
    if (key == AFTER_COUNT)
        key = argc > 3 && span_to_u64(argv[2], &count) == 0 && count > 0 ? 3 : 0;
    return key < argc ? key : 0;
}
