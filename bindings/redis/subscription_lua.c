/* subscription_lua.c: keeps a channel's messages until the script asks for the next one. */
#include "redis/subscription_lua.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/await.h"

#define SUBSCRIPTION "perigee.redis.subscription"
#define MESSAGES_MOST 1024
#define BYTES_MOST ((size_t)4 << 20)
#define WAIT_MOST_MS 3600000

/* A message and the name of its channel, or the mark of a gap. */
typedef struct message {
    list_t node;
    bool gap, live;          /* live: whether messages come again after the gap */
    size_t channel, payload; /* lengths of the texts */
    char text[];
} message_t;

typedef struct op op_t;
typedef struct inbox {
    redis_subscription_t subscription;
    list_t messages;
    size_t count, bytes;
    bool gaps;  /* the script wants to know of them */
    op_t *next; /* who waits for a message */
    char channel[];
} inbox_t;

struct op {
    await_t await;
    inbox_t *inbox;     /* NULL once it waits no more */
    message_t *message; /* what it got */
};

static void drop_all(inbox_t *inbox) {
    for (list_t *node; (node = list_shift(&inbox->messages));)
        free(LIST_OWNER(node, message_t, node));
    inbox->count = inbox->bytes = 0;
}

static message_t *take_first(inbox_t *inbox) {
    list_t *node = list_shift(&inbox->messages);
    if (!node) return NULL;
    message_t *message = LIST_OWNER(node, message_t, node);
    inbox->count--;
    inbox->bytes -= message->channel + message->payload;
    return message;
}

static void hand_over(inbox_t *inbox) {
    op_t *op = inbox->next;
    if (!op || list_empty(&inbox->messages)) return;
    inbox->next = NULL;
    op->inbox = NULL;
    op->message = take_first(inbox);
    await_finish(&op->await);
}

static void put(inbox_t *inbox, message_t *message) {
    list_push(&inbox->messages, &message->node);
    inbox->count++;
    inbox->bytes += message->channel + message->payload;
    hand_over(inbox);
}

/* Two gaps without a message between them are one, in the later state. */
static void put_gap(inbox_t *inbox) {
    bool live = inbox->subscription.live;
    if (!inbox->gaps) return;
    message_t *last = inbox->count ? LIST_OWNER(inbox->messages.prev, message_t, node) : NULL;
    if (last && last->gap) {
        last->live = live;
        return;
    }
    message_t *message = calloc(1, sizeof *message);
    if (!message) return;
    message->gap = true;
    message->live = live;
    put(inbox, message);
}

/* A script that does not keep up loses all that waits, and hears of the gap. */
static void on_message(redis_subscription_t *subscription, span_t channel, span_t payload) {
    inbox_t *inbox = LIST_OWNER(subscription, inbox_t, subscription);
    message_t *message = NULL;
    if (inbox->count < MESSAGES_MOST && inbox->bytes + payload.len <= BYTES_MOST)
        message = malloc(sizeof *message + channel.len + payload.len);
    if (!message) {
        drop_all(inbox);
        put_gap(inbox);
        return;
    }
    *message = (message_t){.channel = channel.len, .payload = payload.len};
    memcpy(message->text, channel.ptr, channel.len);
    memcpy(message->text + channel.len, payload.ptr, payload.len);
    put(inbox, message);
}

static void on_missed(redis_subscription_t *subscription) {
    put_gap(LIST_OWNER(subscription, inbox_t, subscription));
}

/* The wait for the next one */

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static int push(await_t *await, lua_State *L) {
    const message_t *message = op_of(await)->message;
    if (message->gap) {
        lua_pushboolean(L, false);
        lua_pushboolean(L, message->live);
        return 2;
    }
    lua_pushlstring(L, message->text + message->channel, message->payload);
    lua_pushlstring(L, message->text, message->channel);
    return 2;
}

static void cancel(await_t *await) {
    op_t *op = op_of(await);
    if (op->inbox) op->inbox->next = NULL;
    op->inbox = NULL;
    await_finish(await);
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    free(op->message);
    free(op);
}

static const await_ops_t NEXT = {push, cancel, release, "redis.subscribe"};

static inbox_t **check_box(lua_State *L) {
    return luaL_checkudata(L, 1, SUBSCRIPTION);
}

static inbox_t *check_inbox(lua_State *L) {
    inbox_t *inbox = *check_box(L);
    if (!inbox) luaL_error(L, "the subscription has been closed");
    if (inbox->next) luaL_error(L, "something waits for this subscription already");
    return inbox;
}

static int next(lua_State *L, uint64_t wait_ms) {
    inbox_t *inbox = check_inbox(L);
    op_t *op = calloc(1, sizeof *op);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    await_begin(L, &op->await, &NEXT, wait_ms);
    op->inbox = inbox;
    inbox->next = op;
    hand_over(inbox);
    return await_park(L, &op->await);
}

static int l_call(lua_State *L) {
    return next(L, 0);
}

static int l_next(lua_State *L) {
    lua_Number ms = luaL_checknumber(L, 2);
    luaL_argcheck(L, ms >= 1 && ms <= WAIT_MOST_MS, 2, "milliseconds up to an hour expected");
    return next(L, (uint64_t)ms);
}

static void inbox_delete(inbox_t *inbox) {
    redis_unsubscribe(&inbox->subscription);
    drop_all(inbox);
    free(inbox);
}

/* Who waits for a message meanwhile hears that there will be none. */
static int l_close(lua_State *L) {
    inbox_t **box = check_box(L);
    inbox_t *inbox = *box;
    *box = NULL;
    if (!inbox) return 0;
    op_t *op = inbox->next;
    inbox_delete(inbox);
    if (!op) return 0;
    op->inbox = NULL;
    await_fail(&op->await, ERR_CLOSED, "the subscription has been closed");
    return 0;
}

static bool check_flag(lua_State *L, int options, const char *name) {
    if (lua_isnoneornil(L, options)) return false;
    luaL_checktype(L, options, LUA_TTABLE);
    lua_getfield(L, options, name);
    bool flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

static inbox_t *inbox_new(span_t channel) {
    inbox_t *inbox = calloc(1, sizeof *inbox + channel.len + 1);
    if (!inbox) return NULL;
    list_init(&inbox->messages);
    memcpy(inbox->channel, channel.ptr, channel.len);
    inbox->subscription.channel = (span_t){inbox->channel, channel.len};
    inbox->subscription.message = on_message;
    inbox->subscription.missed = on_missed;
    return inbox;
}

int subscription_lua_new(lua_State *L, redis_t *redis) {
    span_t channel;
    channel.ptr = luaL_checklstring(L, 1, &channel.len);
    bool pattern = check_flag(L, 2, "pattern"), gaps = check_flag(L, 2, "missed");
    inbox_t **box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    luaL_getmetatable(L, SUBSCRIPTION);
    lua_setmetatable(L, -2);
    inbox_t *inbox = inbox_new(channel);
    if (!inbox) return await_push_error(L, ERR_NO_MEMORY, NULL);
    inbox->subscription.pattern = pattern;
    inbox->gaps = gaps;
    int err = redis_subscribe(redis, &inbox->subscription);
    if (err) {
        free(inbox);
        return await_push_error(L, err, NULL);
    }
    *box = inbox;
    return 1;
}

void subscription_lua_open(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"next", l_next}, {"close", l_close}, {NULL, NULL}};
    luaL_newmetatable(L, SUBSCRIPTION);
    lua_pushcfunction(L, l_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, l_call);
    lua_setfield(L, -2, "__call");
    lua_newtable(L);
    luaL_register(L, NULL, METHODS);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
