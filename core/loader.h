/* loader.h: reads and compiles editions on a thread, so that the loop waits for neither disk nor compiler. */
#ifndef PERIGEE_LOADER_H
#define PERIGEE_LOADER_H
#include "base/threads.h"
#include "bundle.h"
#include "tenant/edition.h"

typedef struct loader loader_t;
loader_t *loader_new(loop_t *loop); /* NULL when out of memory or threads */
void loader_delete(loader_t *loader);
/* cb comes on a later turn, exactly once, with what was read (the callback's to keep), or NULL and why. ERR_BUSY or
   ERR_NO_MEMORY when it cannot start; then cb is not called. */
int loader_bundle(loader_t *loader, const char *path,
    void (*cb)(void *data, bundle_t *bundle, const char *why), void *data);
int loader_edition(loader_t *loader, const char *path,
    void (*cb)(void *data, edition_t *edition, const char *why), void *data);

#endif
