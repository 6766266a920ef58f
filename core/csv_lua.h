/* csv_lua.h: the Lua module `csv`: the records of a file, one after another. */
#ifndef PERIGEE_CSV_LUA_H
#define PERIGEE_CSV_LUA_H
#include <lua.h>

/* csv.records(path) returns an iterator, or nil, text, name when the file cannot be opened. Each step gives line,
   fields, fault: the line where the record starts and its fields as a list of texts, or an empty list and a sentence on
   what is wrong with the record. Reads with blocking calls: for command-line jobs, never inside a request. */
int luaopen_csv(lua_State *L);

#endif
