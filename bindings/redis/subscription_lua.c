/* subscription_lua.c: puts a channel's messages into a script's inbox. */
#include "redis/subscription_lua.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/inbox.h"

typedef struct listener {
    inbox_t inbox;
    redis_subscription_t subscription;
    char channel[];
} listener_t;

static void on_message(redis_subscription_t *subscription, span_t channel, span_t payload) {
    inbox_put(&LIST_OWNER(subscription, listener_t, subscription)->inbox, channel, payload);
}

static void on_missed(redis_subscription_t *subscription) {
    inbox_gap(&LIST_OWNER(subscription, listener_t, subscription)->inbox, subscription->live);
}

static void on_close(inbox_t *inbox) {
    listener_t *listener = LIST_OWNER(inbox, listener_t, inbox);
    redis_unsubscribe(&listener->subscription);
    free(listener);
}

static bool check_flag(lua_State *L, int options, const char *name) {
    if (lua_isnoneornil(L, options)) return false;
    luaL_checktype(L, options, LUA_TTABLE);
    lua_getfield(L, options, name);
    bool flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

static listener_t *listener_new(span_t channel) {
    listener_t *listener = calloc(1, sizeof *listener + channel.len + 1);
    if (!listener) return NULL;
    memcpy(listener->channel, channel.ptr, channel.len);
    listener->inbox.name = "redis.subscribe";
    listener->inbox.close = on_close;
    listener->subscription.channel = (span_t){listener->channel, channel.len};
    listener->subscription.message = on_message;
    listener->subscription.missed = on_missed;
    return listener;
}

int subscription_lua_new(lua_State *L, redis_t *redis) {
    span_t channel;
    channel.ptr = luaL_checklstring(L, 1, &channel.len);
    bool pattern = check_flag(L, 2, "pattern"), gaps = check_flag(L, 2, "missed");
    inbox_push(L);
    listener_t *listener = listener_new(channel);
    if (!listener) return await_push_error(L, ERR_NO_MEMORY, NULL);
    listener->subscription.pattern = pattern;
    listener->inbox.gaps = gaps;
    int err = redis_subscribe(redis, &listener->subscription);
    if (err) {
        free(listener);
        return await_push_error(L, err, NULL);
    }
    inbox_give(L, &listener->inbox);
    return 1;
}
