/* source.h: what can be edited and goes live as one: the trusted scripts, and each tenant's folder. */
#ifndef PERIGEE_SOURCE_H
#define PERIGEE_SOURCE_H
#include <stdbool.h>
#include <stddef.h>

#define SOURCE_SCRIPTS "scripts"
#define SOURCE_TENANTS "tenants/"
#define SOURCE_DEFAULT "tenants/_default"
#define SOURCE_MAX 80 /* "tenants/" and a slug of at most 63 bytes */

/* Called with "scripts" or "tenants/SLUG"; NULL means that anything may have changed. */
typedef void (*source_cb)(void *data, const char *source);

/* The slug behind "tenants/", or NULL for the scripts. */
const char *source_slug(const char *source);
/* "tenants/SLUG" of a path below the tenants folder ("acme/samples/a.json"); false when it belongs to none. */
bool source_of_path(const char *below, char out[SOURCE_MAX]);
/* Names that editors and tools leave beside the real files: dot files, "x~", "#x#", "x.swp", "x.bak", "x.tmp",
   "x.orig". */
bool source_ignores(const char *name);
/* Calls cb for every tenant folder, in no order. A negative errno when the folder cannot be read. */
int source_list(const char *tenants_dir, source_cb cb, void *data);

#endif
