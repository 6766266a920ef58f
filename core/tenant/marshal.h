/* marshal.h: shows a cart and its context to the rules as Lua tables, built once per priced answer. */
#ifndef PERIGEE_TENANT_MARSHAL_H
#define PERIGEE_TENANT_MARSHAL_H
#include "tenant/price.h"

/* One per VM. Numbers are in the tables from the start; texts, lists and the parts of ctx appear on first use through
   __index. A table that still has parts to come carries the metafield "__fill", a C function of the table that puts
   them all in: pairs, next and rawget of the sandbox call it first, so that a script cannot tell. */
typedef struct marshal {
    int holder; /* registry reference of the table with constructors, metatables and the tables in use */
    const settings_t *settings;
    const price_input_t *input;
    const quote_t *quote;
    rule_kind_t stage;
    bool built;
    bool *filled; /* per line: filled whole, so that a later stage adds its numbers itself */
} marshal_t;

/* Prepares the VM. 0, or an error with a sentence. The VM keeps a pointer to marshal. */
int marshal_open(marshal_t *marshal, vm_t *vm, char *error, size_t size);
/* Starts an answer: what the tables show. `filled` has room for the input's lines and is cleared. */
void marshal_begin(marshal_t *marshal, const settings_t *settings, const price_input_t *input,
    const quote_t *quote, bool *filled);
/* Pushes cart and ctx as the stage sees them; returns 2. Protected, may raise. Puts cart.items back into the cart's
   order, because a rule may have sorted them. */
int marshal_push(marshal_t *marshal, lua_State *L, rule_kind_t stage);
/* Ends the answer: what the tables would still fetch is gone, they give nil. */
void marshal_end(marshal_t *marshal, lua_State *L);

#endif
