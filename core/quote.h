/* quote.h: the Lua module `rules`: a trusted script hands over a cart and gets it priced by its tenant's rules. */
#ifndef PERIGEE_QUOTE_H
#define PERIGEE_QUOTE_H
#include "lua/task.h"
#include "tenant/price.h"

/* rules.price(tenant, cart) → quote | nil, text, name. tenant is a slug, a request, or a tenant's document. cart =
   {items={ {productId, sku, name, price, quantity, category={}, attributes={}, weightGrams} }, codes={},
   address=nil|{}, option=nil|"std", customer={group=…}, channel="web", now_ms=nil|n, seed=nil|n,
   explain=nil|false}; prices in minor units. The quote is a plain table with amounts in minor units; priced=false
   with a reason when the rules cannot price it. explain=false leaves out explain. rules.seeds(slug|nil) → the
   tenant.json documents of the editions that serve: all, or that tenant's. */
int luaopen_rules(lua_State *L);
/* Pushes such a quote. May raise. */
void quote_push(lua_State *L, const quote_t *quote, bool explain);
/* Notes the edition for the log line of the request that the task works for, if it does. */
void quote_note(task_t *task, const quote_t *quote);

#endif
