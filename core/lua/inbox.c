/* inbox.c: keeps a subscription's messages, within bounds, until the script asks for the next one. */
#include "lua/inbox.h"
#include "lua/native.h"
#include <lauxlib.h>
#include <stdlib.h>
#include "base/err.h"

#define HANDLE "perigee.inbox"
#define MESSAGES_MOST 1024
#define BYTES_MOST ((size_t)4 << 20)
#define WAIT_MOST_MS 3600000

/* A message and its topic, or the mark of a gap. */
typedef struct message {
    list_t node;
    bool gap, live;     /* live: whether messages come again after the gap */
    size_t topic, text; /* lengths of the bytes */
    char bytes[];
} message_t;

typedef struct inbox_wait {
    await_t await;
    await_ops_t ops;    /* with the inbox's name; the inbox may go before the wait */
    inbox_t *inbox;     /* NULL once it waits no more */
    message_t *message; /* what it got */
} wait_t;

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
    inbox->bytes -= message->topic + message->text;
    return message;
}

static void hand_over(inbox_t *inbox) {
    wait_t *wait = inbox->next;
    if (!wait || list_empty(&inbox->messages)) return;
    inbox->next = NULL;
    wait->inbox = NULL;
    wait->message = take_first(inbox);
    await_finish(&wait->await);
}

static void keep(inbox_t *inbox, message_t *message) {
    list_push(&inbox->messages, &message->node);
    inbox->count++;
    inbox->bytes += message->topic + message->text;
    hand_over(inbox);
}

/* Two gaps without a message between them are one, in the later state. */
void inbox_gap(inbox_t *inbox, bool live) {
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
    keep(inbox, message);
}

void inbox_put(inbox_t *inbox, span_t topic, span_t text) {
    message_t *message = NULL;
    if (inbox->count < MESSAGES_MOST && inbox->bytes + text.len <= BYTES_MOST)
        message = malloc(sizeof *message + topic.len + text.len);
    if (!message) {
        drop_all(inbox);
        inbox_gap(inbox, true);
        return;
    }
    *message = (message_t){.topic = topic.len, .text = text.len};
    if (topic.len) memcpy(message->bytes, topic.ptr, topic.len);
    if (text.len) memcpy(message->bytes + topic.len, text.ptr, text.len);
    keep(inbox, message);
}

/* The wait for the next one */

static wait_t *wait_of(await_t *await) {
    return LIST_OWNER(await, wait_t, await);
}

static int push(await_t *await, lua_State *L) {
    const message_t *message = wait_of(await)->message;
    if (message->gap) {
        lua_pushboolean(L, false);
        lua_pushboolean(L, message->live);
        return 2;
    }
    lua_pushlstring(L, message->bytes + message->topic, message->text);
    lua_pushlstring(L, message->bytes, message->topic);
    return 2;
}

static void cancel(await_t *await) {
    wait_t *wait = wait_of(await);
    if (wait->inbox) wait->inbox->next = NULL;
    wait->inbox = NULL;
    await_finish(await);
}

static void release(await_t *await) {
    wait_t *wait = wait_of(await);
    free(wait->message);
    free(wait);
}

static inbox_t **check_box(lua_State *L) {
    return luaL_checkudata(L, 1, HANDLE);
}

static int next(lua_State *L, uint64_t wait_ms) {
    inbox_t *inbox = *check_box(L);
    if (!inbox) luaL_error(L, "the subscription has been closed");
    if (inbox->next) luaL_error(L, "something waits for this subscription already");
    wait_t *wait = calloc(1, sizeof *wait);
    if (!wait) return await_push_error(L, ERR_NO_MEMORY, NULL);
    wait->ops = (await_ops_t){push, cancel, release, inbox->name};
    await_begin(L, &wait->await, &wait->ops, wait_ms);
    wait->inbox = inbox;
    inbox->next = wait;
    hand_over(inbox);
    return await_park(L, &wait->await);
}

static int l_call(lua_State *L) {
    return next(L, 0);
}

static int l_next(lua_State *L) {
    lua_Number ms = luaL_checknumber(L, 2);
    luaL_argcheck(L, ms >= 1 && ms <= WAIT_MOST_MS, 2, "milliseconds up to an hour expected");
    return next(L, (uint64_t)ms);
}

/* Who waits for a message meanwhile hears that there will be none. */
static int l_close(lua_State *L) {
    inbox_t **box = check_box(L);
    inbox_t *inbox = *box;
    *box = NULL;
    if (!inbox) return 0;
    wait_t *wait = inbox->next;
    drop_all(inbox);
    inbox->close(inbox);
    if (!wait) return 0;
    wait->inbox = NULL;
    await_fail(&wait->await, ERR_CLOSED, "the subscription has been closed");
    return 0;
}

/* The handle */

void inbox_push(lua_State *L) {
    native_push(L, HANDLE);
}

void inbox_give(lua_State *L, inbox_t *inbox) {
    list_init(&inbox->messages);
    *(inbox_t **)lua_touserdata(L, -1) = inbox;
}

void inbox_open(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"next", l_next}, {"close", l_close}, {NULL, NULL}};
    native_kind(L, HANDLE, METHODS, l_close);
    luaL_getmetatable(L, HANDLE);
    lua_pushcfunction(L, l_call);
    lua_setfield(L, -2, "__call");
    lua_pop(L, 1);
}
