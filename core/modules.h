/* modules.h: the native modules that trusted scripts can require. */
#ifndef PERIGEE_MODULES_H
#define PERIGEE_MODULES_H
#include "app.h"

/* Registers the bindings that the settings ask for, csv, rules and process in the app's VM. 0, or an error with a
   sentence. */
int modules_open(app_t *app, char *why, size_t size);

#endif
