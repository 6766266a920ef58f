/* cell.h: a value that the server sent as text, as a Lua value. */
#ifndef PERIGEE_POSTGRES_CELL_H
#define PERIGEE_POSTGRES_CELL_H
#include <lua.h>
#include <postgres_ext.h>
#include "base/bytes.h"

/* Pushes the value of a type (its OID) from the text that the server writes with DateStyle ISO:
   - int2, int4, oid, float4, float8: a number; int8 too within 2^53, beyond it a decimal; numeric: a decimal
   - bool: a boolean; json, jsonb: as json.decode; bytea: its bytes
   - timestamptz, timestamp: in RFC 3339's form, with all their digits; uuid, date and all others: the text
   - arrays of these: lists marked as arrays, nested for each dimension, NULL as json.null; lower bounds are dropped
   Raises when out of memory, and for JSON that json.decode refuses or an array it cannot read. */
void cell_push(lua_State *L, Oid type, span_t text);

#endif
