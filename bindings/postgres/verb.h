/* verb.h: what kind of statement a text is, by its first word and the functions it calls. */
#ifndef PERIGEE_POSTGRES_VERB_H
#define PERIGEE_POSTGRES_VERB_H
#include <stdbool.h>

typedef enum {
    POSTGRES_PLAIN, /* may run anywhere */
    POSTGRES_BEGIN,
    POSTGRES_TRANSACTION, /* makes sense in a transaction of several queries only */
    POSTGRES_SESSION, /* leaves something behind on its connection, which is reset before another gets it */
    POSTGRES_DRIVERS /* the driver's own business: COPY, LISTEN, PREPARE and their like */
} postgres_nature_t;

postgres_nature_t postgres_verb_nature(const char *sql);
/* Whether the statement begins with this word. */
bool postgres_verb_is(const char *sql, const char *word);
/* Whether the server plans it, so that preparing it saves something. */
bool postgres_verb_prepares(const char *sql);

#endif
