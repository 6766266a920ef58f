/* shelf.h: the edition files of a server, and which of them have passed their trial. */
#ifndef PERIGEE_SHELF_H
#define PERIGEE_SHELF_H
#include "base/bytes.h"
#include "base/map.h"

#define SHELF_PATH_MAX 1024

/* An edition on the shelf. */
typedef struct shelf_mark {
    char key[65];  /* SHA-256 of the edition file: rules, samples and tenant.json alike */
    char hash[65]; /* the edition's own hash, which priced answers and reports show */
} shelf_mark_t;

/* A source is "scripts" or "tenants/SLUG". For each the shelf knows the last edition that passed, so that a start
   neither tries a thousand tenants again nor is left without one whose folder is broken just now. */
typedef struct shelf {
    char list[700]; /* the file of marks, "KEY HASH SOURCE" a line, the last of a source counts */
    char editions[700]; /* the folder of edition files */
    map_t passed;       /* source → shelf_mark_t */
} shelf_t;

/* Reads the list; one written by another build of the program is forgotten, since its checks were others. ERR_NO_MEMORY
   or ERR_UNAVAILABLE. */
int shelf_create(shelf_t *shelf, const char *folder);
void shelf_destroy(shelf_t *shelf);
/* What passed last, or NULL; alive until the next shelf_pass of that source. */
const shelf_mark_t *shelf_get(const shelf_t *shelf, const char *source);
/* Notes that an edition passed, in memory and in the list. */
int shelf_pass(shelf_t *shelf, const char *source, const shelf_mark_t *mark);
/* The name of an edition's file: "…/editions/tenants.acme.KEY.json". */
void shelf_path(
    const shelf_t *shelf, const char *source, const char *key, char out[SHELF_PATH_MAX]);
/* Writes the file whole or not at all; nothing when it exists. A negative errno. */
int shelf_store(const shelf_t *shelf, const char *source, const char *key, span_t text);
/* Removes edition files that are not the last passed of their source. */
void shelf_prune(const shelf_t *shelf);

#endif
