/* engine.h: the database files of one data folder, each opened once per process however many VMs use it. */
#ifndef PERIGEE_SQLITE_ENGINE_H
#define PERIGEE_SQLITE_ENGINE_H
#include "sqlite/db.h"

typedef struct sqlite sqlite_t;
typedef struct sqlite_options {
    const char *data_dir; /* must exist; copied */
    int readers;          /* reading threads per file; 0 for 2 */
    uint64_t busy_ms; /* longest wait for another process's write; 0 for the operation's deadline */
    size_t bound;     /* most waiting operations per file, for reads and for writes; 0 for 1000 */
    size_t max_bytes; /* most bytes of one operation's rows; 0 for 16 MB */
} sqlite_options_t;

/* Closes itself, its files and its threads when the loop is deleted; every VM that uses it must be gone by then.
   NULL when out of memory. */
sqlite_t *sqlite_new(loop_t *loop, const sqlite_options_t *options);
/* The file data_dir/NAME.db, the same one for the same name; the first open decides about durable. The engine owns it.
   ERR_INVALID (a name is 1 to 12 of a-z, 0-9, _), ERR_NO_MEMORY. */
int sqlite_open(sqlite_t *engine, span_t name, bool durable, db_t **out);
/* The cache role's file, cache.db, the same way. */
int sqlite_cache_db(sqlite_t *engine, db_t **out);
size_t sqlite_max_bytes(const sqlite_t *engine);
loop_t *sqlite_loop(const sqlite_t *engine);
/* For an operation that says no time itself: busy_ms, or 2,000. */
uint64_t sqlite_wait_ms(const sqlite_t *engine);

#endif
