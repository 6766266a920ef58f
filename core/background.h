/* background.h: the work that main.lua asks to have done every so often. */
#ifndef PERIGEE_BACKGROUND_H
#define PERIGEE_BACKGROUND_H
#include "app.h"

typedef struct background background_t;
/* Runs each entry of the app every every_ms after the last run ended, from the first turn on. NULL when out of
   memory. */
background_t *background_new(app_t *app);
/* Cancels what runs and stops. */
void background_delete(background_t *background);

#endif
