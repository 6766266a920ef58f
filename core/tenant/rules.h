/* rules.h: what a rules_t holds, for the files of this room. */
#ifndef PERIGEE_TENANT_RULES_H
#define PERIGEE_TENANT_RULES_H
#include "tenant/marshal.h"
#include "tenant/price.h"

#define STAGES RULE_ROUTES /* the four kinds that price, in their order */

struct rules {
    edition_t *edition;
    sandbox_t *sandbox;
    int refs[STAGES];  /* LUA_NOREF: skipped */
    int lines[STAGES]; /* where the rule's function begins; 0 until it was called */
    marshal_t marshal;
    void (*observe)(void *observer, rule_kind_t stage, lua_State *L);
    void *observer;
};

/* Nothing but blanks and comments. */
bool rule_blank(span_t text);

#endif
