/* seed.h: brings tenant.json documents of accepted editions into the documents role. */
#ifndef PERIGEE_SEED_H
#define PERIGEE_SEED_H
#include "app.h"

typedef struct seed seed_t;
/* idle(data) is called, from the loop, each time the last wish has been carried out, well or badly; what failed is
   tried again for a while. NULL when out of memory. */
seed_t *seed_new(struct services *services, void (*idle)(void *data), void *data);
void seed_delete(seed_t *seed);
/* stored(data, slug, refused) is called, with seed_new's data, for each wish of one slug that has been carried out, and
   for each tenant that a run for all refused. refused is the field and the reason, or NULL when the document is stored;
   it lives during the call. */
void seed_tell(seed_t *seed, void (*stored)(void *data, const char *slug, const char *refused));
/* The edition of scripts whose main.seed runs from now on; a run that this cuts short begins again on it. */
void seed_use(seed_t *seed, app_t *app);
/* Runs main.seed(nil): tenants that are not known yet are stored. */
void seed_all(seed_t *seed);
/* Runs main.seed(slug): an accepted edition may have brought other settings. */
void seed_one(seed_t *seed, const char *slug);
/* Cancels what runs; nothing starts any more. */
void seed_stop(seed_t *seed);

#endif
