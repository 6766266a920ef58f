/* listen_lua.c: puts a channel's notifications into a script's inbox. */
#include "postgres/listen_lua.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/inbox.h"

#define CHANNEL_MOST 63 /* the server cuts longer names */

typedef struct listener {
    inbox_t inbox;
    postgres_subscription_t subscription;
    char channel[];
} listener_t;

static void on_notified(postgres_subscription_t *subscription, span_t payload) {
    listener_t *listener = LIST_OWNER(subscription, listener_t, subscription);
    inbox_put(&listener->inbox, subscription->channel, payload);
}

static void on_missed(postgres_subscription_t *subscription) {
    inbox_gap(&LIST_OWNER(subscription, listener_t, subscription)->inbox, subscription->live);
}

static void on_close(inbox_t *inbox) {
    listener_t *listener = LIST_OWNER(inbox, listener_t, inbox);
    postgres_unsubscribe(&listener->subscription);
    free(listener);
}

static listener_t *listener_new(span_t channel, bool gaps) {
    listener_t *listener = calloc(1, sizeof *listener + channel.len + 1);
    if (!listener) return NULL;
    memcpy(listener->channel, channel.ptr, channel.len);
    listener->inbox.name = "postgres.listen";
    listener->inbox.close = on_close;
    listener->inbox.gaps = gaps;
    listener->subscription.channel = (span_t){listener->channel, channel.len};
    listener->subscription.notified = on_notified;
    listener->subscription.missed = on_missed;
    return listener;
}

int listen_lua_new(lua_State *L, postgres_t *postgres) {
    span_t channel;
    bool gaps = false;
    channel.ptr = luaL_checklstring(L, 1, &channel.len);
    luaL_argcheck(L,
        channel.len && channel.len <= CHANNEL_MOST && strlen(channel.ptr) == channel.len, 1,
        "a name of 1 to 63 bytes expected");
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        lua_getfield(L, 2, "missed");
        gaps = lua_toboolean(L, -1);
    }
    inbox_push(L);
    listener_t *listener = listener_new(channel, gaps);
    if (!listener) return await_push_error(L, ERR_NO_MEMORY, NULL);
    int err = postgres_subscribe(postgres, &listener->subscription);
    if (err) {
        free(listener);
        return await_push_error(L, err, NULL);
    }
    inbox_give(L, &listener->inbox);
    return 1;
}
