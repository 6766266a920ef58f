/* bundle.h: one edition of the trusted scripts, compiled: module names to bytecode. */
#ifndef PERIGEE_BUNDLE_H
#define PERIGEE_BUNDLE_H
#include "base/arena.h"
#include "base/map.h"
#include "lua/vm.h"

typedef struct bundle {
    arena_t arena;
    map_t modules; /* "api.products" to vm_source_t *, in the arena */
    char hash[65];
} bundle_t;

/* Compiles an edition file of the master (`{"hash":H,"files":{"api/products.lua":"…"}}`). Blocks on the file and on
   the compiler: on a thread, or before the loop runs. Needs no VM of the caller's. ERR_SYNTAX with "file:line: what",
   ERR_NOT_FOUND, ERR_BAD_JSON, ERR_NO_MEMORY. */
int bundle_read(const char *path, bundle_t **out, char *why, size_t size);
/* The same from a folder, for commands that run without a master. */
int bundle_read_folder(const char *folder, bundle_t **out, char *why, size_t size);
void bundle_delete(bundle_t *bundle);
/* A vm_loader; data is the bundle. */
bool bundle_load(void *data, const char *module, vm_source_t *out);

#endif
