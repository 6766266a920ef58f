/* prepared.h: the statements a connection keeps prepared, by their text, least recently used first out. */
#ifndef PERIGEE_SQLITE_PREPARED_H
#define PERIGEE_SQLITE_PREPARED_H
#include <sqlite3.h>
#include "base/list.h"
#include "base/map.h"

#define PREPARED_MOST 96

typedef struct prepared {
    map_t by_sql;
    list_t used; /* the most recently used is last */
    size_t count;
} prepared_t;

void prepared_create(prepared_t *prepared);
/* Finalizes all; before the connection is closed. */
void prepared_destroy(prepared_t *prepared);
/* The statement of this text, prepared when it is new and ready to bind. It stays the cache's: sqlite3_reset it, and
   use it only until the next call. An SQLite code; SQLITE_MISUSE when the text holds no statement, or several. */
int prepared_get(prepared_t *prepared, sqlite3 *db, span_t sql, sqlite3_stmt **out);

#endif
