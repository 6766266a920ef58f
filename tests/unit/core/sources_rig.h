/* sources_rig.h: folders of scripts and of tenants, and what was noted of their changes. */
#ifndef PERIGEE_TEST_SOURCES_RIG_H
#define PERIGEE_TEST_SOURCES_RIG_H
#include "core/own_folder.h"
#include "core/seen.h"

static char scripts[512], tenants[512];
static seen_t seen;

static inline void sources_create(void) {
    folder_create(folder);
    folder_mkdir(folder, "scripts");
    folder_mkdir(folder, "scripts/api");
    folder_mkdir(folder, "tenants");
    folder_mkdir(folder, "tenants/acme");
    folder_path(scripts, folder, "scripts");
    folder_path(tenants, folder, "tenants");
    seen_clear(&seen);
}

#endif
