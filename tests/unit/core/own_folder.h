/* own_folder.h: a temporary folder of each test's own: the set-up and tear-down of a file's tests. */
#ifndef PERIGEE_TEST_OWN_FOLDER_H
#define PERIGEE_TEST_OWN_FOLDER_H
#include "core/folder.h"

static char folder[256];

static inline int own_folder_create(void **state) {
    (void)state;
    folder_create(folder);
    return 0;
}

static inline int own_folder_destroy(void **state) {
    (void)state;
    folder_destroy(folder);
    return 0;
}

#endif
