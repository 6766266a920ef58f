/* changes.h: the swaps of rules that a worker has seen and that no script has noted yet. */
#ifndef PERIGEE_CHANGES_H
#define PERIGEE_CHANGES_H
#include <lua.h>
#include "services.h"

#define CHANGES_MOST 10000

/* Remembers one; the same id again is the same one. Beyond CHANGES_MOST it is only logged. */
void changes_add(services_t *services, const char *tenant, const char *id, const char *before,
    const char *after);
void changes_clear(services_t *services);
/* The module "changes": waiting() lists up to 100 as { id, tenant (slug), before, after }, before missing for a new
   shop; done(id) forgets one. */
int luaopen_changes(lua_State *L);

#endif
