/* try.h: reads one source and finds out whether it may serve. */
#ifndef PERIGEE_TRY_H
#define PERIGEE_TRY_H
#include "config.h"
#include "shelf.h"

/* Reads the source's folder, checks it unless the shelf knows it as it is, and puts its edition file on the shelf. Runs
   tenants' scripts: call it in a child with limits. 0 and *mark, or an error; the report holds a sentence a line, each
   with its file, also warnings when the error is 0. */
int try_source(const config_t *config, const shelf_t *shelf, const char *source, shelf_mark_t *mark,
    buf_t *report);
/* Whether the trusted scripts parse; the report as above. */
int try_parse(const config_t *config, buf_t *report);

#endif
