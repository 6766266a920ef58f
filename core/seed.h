/* seed.h: brings tenant.json documents of accepted editions into the documents role. */
#ifndef PERIGEE_SEED_H
#define PERIGEE_SEED_H
#include "app.h"

typedef struct seed seed_t;
/* idle(data) is called, from the loop, each time the last wish has been carried out, well or badly; what failed is
   tried again for a while. NULL when out of memory. */
seed_t *seed_new(struct services *services, void (*idle)(void *data), void *data);
void seed_delete(seed_t *seed);
/* The edition of scripts whose main.seed runs from now on; a run that this cuts short begins again on it. */
void seed_use(seed_t *seed, app_t *app);
/* Runs main.seed(nil): tenants that are not known yet are stored. */
void seed_all(seed_t *seed);
/* Runs main.seed(slug): an accepted edition may have brought other settings. */
void seed_one(seed_t *seed, const char *slug);
/* Cancels what runs; nothing starts any more. */
void seed_stop(seed_t *seed);

#endif
