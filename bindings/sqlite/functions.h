/* functions.h: the SQL functions that every connection has beside SQLite's own. */
#ifndef PERIGEE_SQLITE_FUNCTIONS_H
#define PERIGEE_SQLITE_FUNCTIONS_H
#include <sqlite3.h>

/* minor_units(price, currency): the integer minor units of JSON or plain decimal text, NULL when it is no exact amount.
   edit_distance(a, b, most): see edit_distance.h.
   now_ms(): milliseconds since 1970, the one clock of everything that expires.
   Returns an SQLite code. */
int functions_register(sqlite3 *db);

#endif
