/* launch.h: an edition of the trusted scripts, made to run. */
#ifndef PERIGEE_LAUNCH_H
#define PERIGEE_LAUNCH_H
#include "app.h"

/* Runs the bundle's main module and reads what it returns. Takes over the bundle, also on an error. Loop thread only.
   ERR_RULE_ERROR with a sentence that names what is wrong. */
int launch(struct services *services, bundle_t *bundle, app_t **out, char *why, size_t size);
/* With its modules, but without main.lua and routes: for the job, which runs one file beside the modules. */
int launch_bare(struct services *services, bundle_t *bundle, app_t **out, char *why, size_t size);

#endif
