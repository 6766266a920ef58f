/* array.h: arrays in the server's text form: read into lists, written from lists. */
#ifndef PERIGEE_POSTGRES_ARRAY_H
#define PERIGEE_POSTGRES_ARRAY_H
#include <lua.h>
#include <postgres_ext.h>
#include "base/bytes.h"
#include "postgres/param.h"

#define ARRAY_DEPTH 6 /* the server's own limit */

/* Pushes a list of the array's elements, as cell_push; raises when the text is no array. */
void array_push(lua_State *L, Oid element, span_t text);
/* Appends the list at index as an array's text: elements as parameters are (param.h), lists inside of it as further
   dimensions. Raises nothing: 0, or an error with its sentence. L keeps its stack. */
int array_write(lua_State *L, int index, buf_t *out, fault_t *fault);

#endif
