/* param.h: a script's value as the text of a parameter. */
#ifndef PERIGEE_POSTGRES_PARAM_H
#define PERIGEE_POSTGRES_PARAM_H
#include <lua.h>
#include "base/bytes.h"

typedef enum { PARAM_TEXT, PARAM_BYTES, PARAM_NULL } param_kind_t;

/* Why a value cannot be a parameter. */
typedef struct fault {
    char why[200];
} fault_t;
/* Keeps the sentence and returns err. */
int fault_set(fault_t *fault, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends the value at index (not relative to the top) without a NUL. Texts without zero bytes, numbers, booleans and
   decimals are written as PostgreSQL reads them; a table is JSON, and what mark.h marks is what the mark says;
   json.null is NULL, and nil is refused. PARAM_BYTES are raw bytes. Raises nothing and leaves the stack as it was: 0,
   or ERR_INVALID, ERR_TOO_LARGE, ERR_NO_MEMORY with a sentence. */
int param_write(lua_State *L, int index, buf_t *out, param_kind_t *kind, fault_t *fault);

#endif
