/* inbox.h: messages that are kept until a script asks for the next one. */
#ifndef PERIGEE_LUA_INBOX_H
#define PERIGEE_LUA_INBOX_H
#include "base/bytes.h"
#include "base/list.h"
#include "lua/await.h"

/* Embedded in what a binding has per subscription. The script's handle is called for the next message, which it waits
   for: text, topic; false and whether messages come again now, where some may have been lost, if the inbox tells gaps;
   nil, text, "timeout" at the end of the task's time. Its methods: next(ms), close(). */
typedef struct inbox inbox_t;
struct inbox {
    const char *name;              /* "redis.subscribe", as await_ops_t's; static */
    void (*close)(inbox_t *inbox); /* ends the subscription and frees what the inbox is in */
    bool gaps;                     /* the script wants to know of them */

    /* The inbox's. */
    list_t messages;
    size_t count, bytes;
    struct inbox_wait *next; /* who waits for a message */
};

/* Makes the metatable; may raise; may be called again. */
void inbox_open(lua_State *L);
/* Pushes a handle without an inbox; may raise. inbox_give gives it one, raises nothing, and leaves the handle on top;
   from then on the handle closes it. */
void inbox_push(lua_State *L);
void inbox_give(lua_State *L, inbox_t *inbox);
/* A message. A script that does not keep up loses all that waits, and hears of the gap. */
void inbox_put(inbox_t *inbox, span_t topic, span_t text);
/* Messages may have been missed; `live`: they come again from now on. */
void inbox_gap(inbox_t *inbox, bool live);

#endif
