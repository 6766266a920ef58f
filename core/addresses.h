/* addresses.h: whether the settings that say where servers are can be read. */
#ifndef PERIGEE_ADDRESSES_H
#define PERIGEE_ADDRESSES_H
#include "config.h"

/* Looks at each URL of the settings before anything starts: what is wrong is said to who started it, instead of in the
   log of a worker that ends. 0, or ERR_INVALID with a sentence that names the setting and repeats nothing of it, for it
   may hold a password. */
int addresses_check(const config_t *config, char *why, size_t size);

#endif
